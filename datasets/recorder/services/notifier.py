"""Mails order confirmations: consumes the events that checkout publishes."""

import json

import psycopg
import release
import telemetry
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor

MAIL = "Dear customer {user},\n" + "your order {order} is on its way.\n" * 40

tracer = telemetry.start()
PsycopgInstrumentor().instrument()


def main() -> None:
    with psycopg.connect(release.DATABASE, autocommit=True) as events, psycopg.connect(
        release.DATABASE, autocommit=True
    ) as db:
        events.execute("LISTEN orders")
        for event in events.notifies():
            confirm(db, json.loads(event.payload))


def confirm(db: psycopg.Connection, message: dict) -> None:
    attributes = {
        "messaging.system": "postgresql",
        "messaging.destination.name": "orders",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
    }
    with tracer.start_as_current_span(
        "process orders",
        context=propagate.extract(message),
        kind=trace.SpanKind.CONSUMER,
        attributes=attributes,
    ):
        (user,) = db.execute(
            "SELECT user_id FROM orders WHERE id = %s", (message["order"],)
        ).fetchone()
        with tracer.start_as_current_span("render mail"):
            mail = MAIL.format(user=user, order=message["order"])
        db.execute("INSERT INTO outbox (user_id, body) VALUES (%s, %s)", (user, mail))


main()
