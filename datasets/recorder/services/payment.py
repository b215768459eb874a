"""Charges cards through `cardnet`, a third party that reports no spans."""

import random

import release
import requests
import telemetry
from flask import Flask, request
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from waitress import serve

STALE_TOKEN_SHARE = 0.6

tracer = telemetry.start()
app = Flask("payment")
FlaskInstrumentor().instrument_app(app)
RequestsInstrumentor().instrument()
session = requests.Session()
token_ages = random.Random(20240611)


class TokenExpired(Exception):
    pass


@app.post("/charges")
def charge():
    with tracer.start_as_current_span("authorize card") as span:
        span.set_attribute("shop.amount_cents", request.json["amount_cents"])
        check_token()
        answer = session.post("http://cardnet:8080/authorizations", json=request.json, timeout=5)
        answer.raise_for_status()
    return answer.json(), 201


def check_token() -> None:
    """The faulty release caches the acquirer's access token beyond its expiry."""
    if release.has("token_cache") and token_ages.random() < STALE_TOKEN_SHARE:
        raise TokenExpired("access token of acquirer expired")


serve(app, host=release.LISTEN, port=release.PORT, threads=4)
