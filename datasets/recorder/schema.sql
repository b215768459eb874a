-- The shop's data: the same rows in every recording.
CREATE TABLE products (id int PRIMARY KEY, name text, price_cents int, description text);
INSERT INTO products
SELECT n, 'product ' || n, 199 + n * 37 % 9000, repeat('A fine thing. ', 20)
FROM generate_series(1, 600) AS n;

CREATE TABLE ratings (product_id int PRIMARY KEY, stars numeric(2, 1));
INSERT INTO ratings SELECT n, 1 + n % 41 / 10.0 FROM generate_series(1, 600) AS n;

-- Large, so that reading it without its index hurts.
CREATE TABLE reviews (product_id int, stars int, written_at timestamptz, body text);
INSERT INTO reviews
SELECT 1 + n % 600, 1 + n % 5, timestamptz '2024-01-01' + n * interval '1 minute',
       repeat('It works. ', 10)
FROM generate_series(1, 240000) AS n;
CREATE INDEX reviews_by_product ON reviews (product_id, written_at DESC);

CREATE TABLE stock (product_id int PRIMARY KEY, available int);
INSERT INTO stock SELECT n, n * 13 % 400 FROM generate_series(1, 600) AS n;

CREATE TABLE reservations (product_id int, quantity int);

CREATE TABLE cart_items (user_id int, product_id int, price_cents int, quantity int);
CREATE INDEX cart_items_by_user ON cart_items (user_id);

CREATE TABLE orders (
    id serial PRIMARY KEY, user_id int, amount_cents int, card_authorization text
);
CREATE TABLE outbox (user_id int, body text);

VACUUM ANALYZE;
