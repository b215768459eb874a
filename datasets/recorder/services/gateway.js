// The only service that customers reach: four entry operations.
'use strict';

require('./telemetry');
const { call, createApp, listen } = require('./server');

const app = createApp();

app.get('/products', async (request, response) => {
  const products = await call('GET', `http://catalog:8080/products?page=${request.query.page}`);
  const [quote, stock] = await Promise.all([priceOf(products), stockOf(products)]);
  response.json(products.map((product) => ({
    ...product, price: quote.prices[product.id], stock: stock[product.id],
  })));
});

app.get('/products/:id', async (request, response) => {
  const { id } = request.params;
  const [product, stock] = await Promise.all([
    call('GET', `http://catalog:8080/products/${id}`),
    stockOf([{ id }]),
  ]);
  const quote = await priceOf([product]);
  response.json({ ...product, price: quote.prices[id], stock: stock[id] });
});

app.post('/cart', async (request, response) => {
  const { user, item } = request.body;
  response.status(201).json(await call('POST', `http://cart:8080/carts/${user}/items`, item));
});

app.post('/checkout', async (request, response) => {
  response.status(201).json(await call('POST', 'http://checkout:8080/orders', request.body));
});

function priceOf(products) {
  const items = products.map(({ id, price_cents }) => ({ product_id: id, price_cents }));
  return call('POST', 'http://pricing:8080/quotes', { items });
}

function stockOf(products) {
  const ids = products.map(({ id }) => id).join();
  return call('GET', `http://inventory:8080/stock?ids=${ids}`);
}

listen(app);
