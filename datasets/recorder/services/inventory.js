// What is in stock and what is reserved, in PostgreSQL.
'use strict';

require('./telemetry');
const { Pool } = require('pg');
const { createApp, listen } = require('./server');

const pool = new Pool({ connectionString: process.env.SHOP_DATABASE, idleTimeoutMillis: 0 });
const app = createApp();

app.get('/stock', async (request, response) => {
  const ids = request.query.ids.split(',').map(Number);
  const { rows } = await pool.query(
    'SELECT product_id, available FROM stock WHERE product_id = ANY($1)',
    [ids],
  );
  response.json(Object.fromEntries(rows.map((row) => [row.product_id, row.available])));
});

app.post('/reservations', async (request, response) => {
  const { items } = request.body;
  const { rowCount } = await pool.query(
    'INSERT INTO reservations (product_id, quantity) SELECT * FROM unnest($1::int[], $2::int[])',
    [items.map((item) => item.product_id), items.map((item) => item.quantity)],
  );
  response.status(201).json({ reserved: rowCount });
});

listen(app);
