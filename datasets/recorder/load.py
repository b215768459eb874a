"""Open-loop load: customers arrive at random, seeded moments and walk through the shop.

Not traced, so that the gateway's spans are the roots. SIGUSR1 is the sale's
start: from then on most customers are buyers.
"""

import argparse
import asyncio
import random
import signal

import httpx

BUYERS = 0.35
BUYERS_DURING_SALE = 0.85
PRODUCTS = 600
PAGES = 20


class Customer:
    def __init__(self, number: int, seed: int, shop: httpx.AsyncClient):
        self.number = number
        self.shop = shop
        self.choices = random.Random(f"{seed}/{number}")

    async def visit(self, buyers: float) -> None:
        if self.choices.random() < buyers:
            steps = [self.browse, self.look, self.add, self.add, self.check_out]
        else:
            steps = [self.browse, self.look, self.look]
        for step in steps:
            await step()
            await asyncio.sleep(self.choices.uniform(0.2, 1.0))

    def product(self) -> int:
        return self.choices.randint(1, PRODUCTS)

    async def browse(self) -> None:
        await self.shop.get("/products", params={"page": self.choices.randrange(PAGES)})

    async def look(self) -> None:
        await self.shop.get(f"/products/{self.product()}")

    async def add(self) -> None:
        item = {
            "product_id": self.product(),
            "price_cents": self.choices.randint(199, 9000),
            "quantity": self.choices.randint(1, 3),
        }
        await self.shop.post("/cart", json={"user": self.number, "item": item})

    async def check_out(self) -> None:
        card = f"4{self.choices.randrange(10**15):015d}"
        await self.shop.post("/checkout", json={"user": self.number, "card": card})


async def run(seconds: float, customers_per_second: float, seed: int) -> None:
    buyers = BUYERS
    loop = asyncio.get_running_loop()

    def start_sale() -> None:
        nonlocal buyers
        buyers = BUYERS_DURING_SALE

    loop.add_signal_handler(signal.SIGUSR1, start_sale)
    arrivals = random.Random(seed)
    now = began = loop.time()
    limits = httpx.Limits(max_connections=None, keepalive_expiry=10)
    async with (
        httpx.AsyncClient(base_url="http://gateway:8080", timeout=30, limits=limits) as shop,
        asyncio.TaskGroup() as visits,
    ):
        number = 0
        while now < began + seconds:
            # Sleeping until a planned moment keeps the rate when the shop is slow.
            await asyncio.sleep(now - loop.time())
            visits.create_task(Customer(number, seed, shop).visit(buyers))
            number += 1
            now += arrivals.expovariate(customers_per_second)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--customers-per-second", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(run(options.seconds, options.customers_per_second, options.seed))


main()
