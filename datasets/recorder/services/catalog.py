"""Products, their ratings and reviews, from PostgreSQL."""

import release
import telemetry
from flask import Flask, abort, request
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from waitress import serve

PAGE_SIZE = 20

telemetry.start()
PsycopgInstrumentor().instrument()
app = Flask("catalog")
FlaskInstrumentor().instrument_app(app)
pool = ConnectionPool(
    release.DATABASE, min_size=4, kwargs={"autocommit": True, "row_factory": dict_row}
)


@app.get("/products")
def list_products():
    first = PAGE_SIZE * int(request.args["page"])
    with pool.connection() as db:
        products = db.execute(
            "SELECT id, name, price_cents FROM products WHERE id > %s ORDER BY id LIMIT %s",
            (first, PAGE_SIZE),
        ).fetchall()
        ids = [product["id"] for product in products]
        if release.has("ratings_per_product"):
            ratings = [rating for product_id in ids for rating in fetch_ratings(db, [product_id])]
        else:
            ratings = fetch_ratings(db, ids)
    stars = {rating["product_id"]: rating["stars"] for rating in ratings}
    return [product | {"stars": stars[product["id"]]} for product in products]


def fetch_ratings(db, ids):
    return db.execute(
        "SELECT product_id, stars FROM ratings WHERE product_id = ANY(%s)", (ids,)
    ).fetchall()


@app.get("/products/<int:product_id>")
def show_product(product_id):
    with pool.connection() as db:
        product = db.execute(
            "SELECT id, name, price_cents, description FROM products WHERE id = %s", (product_id,)
        ).fetchone()
        if product is None:
            abort(404)
        reviews = db.execute(
            "SELECT stars, body FROM reviews WHERE product_id = %s"
            " ORDER BY written_at DESC LIMIT 5",
            (product_id,),
        ).fetchall()
    return product | {"reviews": reviews}


serve(app, host=release.LISTEN, port=release.PORT, threads=4)
