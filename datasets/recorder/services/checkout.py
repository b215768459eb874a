"""Turns a cart into an order: reserve and quote in parallel, pay, store, announce."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx
import release
import telemetry
import uvicorn
from fastapi import FastAPI, HTTPException
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel

PAYMENT_ATTEMPTS = 2
BACKOFF_SECONDS = 0.05

tracer = telemetry.start()
PsycopgInstrumentor().instrument()
HTTPXClientInstrumentor().instrument()
# Callees close idle connections after 30 s; giving them up earlier avoids the race.
client = httpx.AsyncClient(timeout=5, limits=httpx.Limits(keepalive_expiry=10))
pool = AsyncConnectionPool(
    release.DATABASE, min_size=2, open=False, kwargs={"autocommit": True}
)


@asynccontextmanager
async def lifespan(_: FastAPI):
    async with pool, client:
        yield


app = FastAPI(lifespan=lifespan)
FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])


class Order(BaseModel):
    user: int
    card: str


@app.post("/orders", status_code=201)
async def place_order(order: Order):
    cart_url = f"http://cart:8080/carts/{order.user}"
    cart = await call("GET", cart_url)
    basket = {"items": cart["items"]}
    _, quote = await asyncio.gather(
        call("POST", "http://inventory:8080/reservations", basket),
        call("POST", "http://pricing:8080/quotes", basket),
    )
    payment = await charge(order, quote["total_cents"])
    order_id = await store(order, quote["total_cents"], payment["authorization"])
    await announce(order_id)
    await call("DELETE", cart_url)
    return {"order": order_id}


async def call(method: str, url: str, body=None):
    response = await client.request(method, url, json=body)
    if response.is_error:
        raise HTTPException(502, f"{method} {url}: {response.status_code}")
    return response.json()


async def charge(order: Order, amount_cents: int):
    for attempt in range(PAYMENT_ATTEMPTS):
        if attempt > 0:
            await asyncio.sleep(BACKOFF_SECONDS)
        response = await client.post(
            "http://payment:8080/charges", json={"card": order.card, "amount_cents": amount_cents}
        )
        if response.is_success:
            return response.json()
    raise HTTPException(502, f"payment failed {PAYMENT_ATTEMPTS} times")


async def store(order: Order, amount_cents: int, authorization: str) -> int:
    async with pool.connection() as db:
        cursor = await db.execute(
            "INSERT INTO orders (user_id, amount_cents, card_authorization)"
            " VALUES (%s, %s, %s) RETURNING id",
            (order.user, amount_cents, authorization),
        )
        return (await cursor.fetchone())[0]


async def announce(order_id: int) -> None:
    """Publishes on PostgreSQL's own NOTIFY channel; the notifier works after the response."""
    attributes = {
        "messaging.system": "postgresql",
        "messaging.destination.name": "orders",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
    }
    with tracer.start_as_current_span(
        "publish orders", kind=trace.SpanKind.PRODUCER, attributes=attributes
    ):
        message = {"order": order_id}
        propagate.inject(message)
        async with pool.connection() as db:
            await db.execute("SELECT pg_notify('orders', %s)", (json.dumps(message),))


uvicorn.run(app, host=release.LISTEN, port=release.PORT, timeout_keep_alive=30, access_log=False)
