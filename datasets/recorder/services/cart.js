// Customers' carts, in PostgreSQL.
'use strict';

require('./telemetry');
const { createHash } = require('node:crypto');
const { trace } = require('@opentelemetry/api');
const { Pool } = require('pg');
const { call, createApp, features, listen } = require('./server');

// The slow release "hardens" the cart's signature by repeating the hash.
const SIGNATURE_ROUNDS = features.has('hardened_signature') ? 25_000 : 20;

const tracer = trace.getTracer('shop');
const pool = new Pool({ connectionString: process.env.SHOP_DATABASE, idleTimeoutMillis: 0 });
const app = createApp();

app.post('/carts/:user/items', async (request, response) => {
  const { user } = request.params;
  const { product_id, price_cents, quantity } = request.body;
  const quote = await call('POST', 'http://pricing:8080/quotes', { items: [request.body] });
  await pool.query(
    'INSERT INTO cart_items (user_id, product_id, price_cents, quantity) VALUES ($1, $2, $3, $4)',
    [user, product_id, price_cents, quantity],
  );
  response.status(201).json({ quote, signature: sign({ user, quote }) });
});

app.get('/carts/:user', async (request, response) => {
  const { rows } = await pool.query(
    'SELECT product_id, price_cents, quantity FROM cart_items WHERE user_id = $1',
    [request.params.user],
  );
  response.json({ items: rows, signature: sign(rows) });
});

app.delete('/carts/:user', async (request, response) => {
  await pool.query('DELETE FROM cart_items WHERE user_id = $1', [request.params.user]);
  response.json({});
});

function sign(content) {
  return tracer.startActiveSpan('sign cart', (span) => {
    let digest = JSON.stringify(content);
    for (let round = 0; round < SIGNATURE_ROUNDS; round += 1) {
      digest = createHash('sha256').update(digest).digest('hex');
    }
    span.end();
    return digest;
  });
}

listen(app);
