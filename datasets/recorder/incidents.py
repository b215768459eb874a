"""The incidents: what is broken, how, and which service is to blame."""

from collections.abc import Callable
from dataclasses import dataclass

import database
from shop import Shop


def nothing(_: Shop) -> None:
    pass


@dataclass(frozen=True)
class Incident:
    fault_type: str
    root_cause_services: list[str]
    root_cause_operations: list[str]
    broken: str
    expected: str
    inject: Callable[[Shop], None] = nothing
    prepare: Callable[[Shop], None] = nothing
    compression: str = "zst"
    notes: str = ""


def drop_reviews_index(shop: Shop) -> None:
    shop.database.execute("DROP INDEX reviews_by_product")


def release_hardened_cart(shop: Shop) -> None:
    shop.deploy("cart", "1.5.0", "hardened_signature")


def release_token_cache(shop: Shop) -> None:
    shop.deploy("payment", "1.5.0", "token_cache")


def release_ratings_per_product(shop: Shop) -> None:
    shop.deploy("catalog", "1.5.0", "ratings_per_product")


def crowd_inventory(shop: Shop) -> None:
    shop.crowd("inventory", cores=0.2, period_seconds=0.05)


def proxy_pricing(shop: Shop) -> None:
    shop.put_behind_proxy("pricing", delay_seconds=0.015)


INCIDENTS = {
    "slow-dependency": Incident(
        fault_type="slow_dependency",
        root_cause_services=[database.HOST],
        root_cause_operations=[],
        broken="the index on the database's table of reviews was dropped, so that each look at a"
        " product reads the whole table",
        expected="the database `postgresql`, inferred from its clients' spans: catalog's query"
        " of reviews",
        inject=drop_reviews_index,
        notes="postgresql reports no spans: it is known by server.address, db.system.name and"
        " db.namespace (shop) of its clients' spans. Only the SELECT on reviews, from catalog's"
        " GET /products/<int:product_id>, is slower; catalog itself is not.",
    ),
    "slow-release": Incident(
        fault_type="slow_release",
        root_cause_services=["cart"],
        root_cause_operations=["sign cart"],
        broken="release 1.5.0 of cart repeats a hash 25,000 times where 1.4.0 did 20 times",
        expected="`cart`, its own time in the span `sign cart`",
        inject=release_hardened_cart,
        compression="gz",
        notes="service.version of cart goes from 1.4.0 to 1.5.0, host.name from cart-1 to cart-2."
        " cart is a single event loop: what it computes also delays requests that arrive meanwhile.",
    ),
    "cpu-contention": Incident(
        fault_type="cpu_contention",
        root_cause_services=["inventory"],
        root_cause_operations=[],
        broken="a busy loop shares a CPU limit of 0.2 cores (cgroup, periods of 50 ms) with"
        " inventory",
        expected="`inventory`: slower in all it does, its waits for the database included",
        inject=crowd_inventory,
        notes="inventory is throttled for most of each period, so its client spans to postgresql"
        " and the gaps of its callers grow too; other services' calls to postgresql do not.",
    ),
    "error": Incident(
        fault_type="error",
        root_cause_services=["payment"],
        root_cause_operations=["POST /charges"],
        broken="release 1.5.0 of payment caches an access token for too long: about half of the"
        " attempts raise TokenExpired and answer 500",
        expected="`payment`, as the origin of errors which checkout retries once after 50 ms and"
        " then passes on to gateway's POST /checkout",
        inject=release_token_cache,
        notes="A failing attempt never calls cardnet, and a checkout that fails does not store,"
        " announce or empty the cart: less work, not more. service.version of payment goes from"
        " 1.4.0 to 1.5.0.",
    ),
    "n-plus-one": Incident(
        fault_type="n_plus_one",
        root_cause_services=["catalog"],
        root_cause_operations=["GET /products"],
        broken="release 1.5.0 of catalog asks the database for ratings product by product, 20"
        " queries a page, where 1.4.0 asked once",
        expected="`catalog`, as the caller: 20 calls a visit instead of one",
        inject=release_ratings_per_product,
        compression="gz",
        notes="Each single query is as fast as before: the database is not to blame."
        " service.version of catalog goes from 1.4.0 to 1.5.0.",
    ),
    "network-delay": Incident(
        fault_type="network_delay",
        root_cause_services=["pricing"],
        root_cause_operations=[],
        broken="a TCP proxy before pricing holds every byte back for 15 ms, both ways",
        expected="`pricing`: the gap between client and server span grows by 30 ms on its three"
        " incoming edges, from gateway, cart and checkout",
        inject=Shop.delay_proxied,
        prepare=proxy_pricing,
        notes="pricing's own spans are as short as before. The proxy stands there in both windows"
        " and does not delay in the first.",
    ),
    "traffic-mix": Incident(
        fault_type="traffic_mix",
        root_cause_services=[],
        root_cause_operations=[],
        broken="nothing: a sale raises the share of customers who buy from 35 % to 85 %",
        expected="no service: the mean rises because POST /checkout, the slowest entry, is asked"
        " for more often",
        inject=Shop.start_sale,
        compression="gz",
        notes="Customers arrive as often as before, but buyers make five requests, others three.",
    ),
    "fault-free": Incident(
        fault_type="none",
        root_cause_services=[],
        root_cause_operations=[],
        broken="nothing",
        expected="no suspect",
        notes="Two windows of the same ordinary traffic.",
    ),
}
