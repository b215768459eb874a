"""Prices of a basket under the current promotions: computes, calls nobody."""

import release
import telemetry
import uvicorn
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from pydantic import BaseModel

PROMOTIONS = [(1 + n % 7, 3 + n % 11, n % 5) for n in range(60)]

tracer = telemetry.start()
app = FastAPI()
# The ASGI send and receive spans say nothing that the server span does not.
FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])


class Item(BaseModel):
    product_id: int
    price_cents: int
    quantity: int = 1


class Basket(BaseModel):
    items: list[Item]


@app.post("/quotes")
async def quote(basket: Basket):
    with tracer.start_as_current_span("apply promotions") as span:
        span.set_attribute("shop.basket.items", len(basket.items))
        totals = {item.product_id: best_price(item) for item in basket.items}
    return {"prices": totals, "total_cents": sum(totals.values())}


def best_price(item: Item) -> int:
    full = item.price_cents * item.quantity
    applicable = (
        percent
        for modulus, remainder, percent in PROMOTIONS
        if item.product_id % modulus == remainder % modulus
    )
    return full - full * max(applicable, default=0) // 100


uvicorn.run(app, host=release.LISTEN, port=release.PORT, timeout_keep_alive=30, access_log=False)
