"""What a release of a service contains: the recorder deploys a fault as a new release."""

import os

LISTEN = os.environ["SHOP_LISTEN"]
PORT = 8080
DATABASE = os.environ["SHOP_DATABASE"]
_FEATURES = frozenset(os.environ.get("SHOP_FEATURES", "").split(","))


def has(feature: str) -> bool:
    return feature in _FEATURES
