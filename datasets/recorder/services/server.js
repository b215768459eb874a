// What the three Node services share: how they listen and how they call others.
'use strict';

const http = require('node:http');
const express = require('express');

const PORT = 8080;
// Callees close idle connections after 30 s; giving them up earlier avoids the race.
const agent = new http.Agent({ keepAlive: true, timeout: 10_000 });
const features = new Set((process.env.SHOP_FEATURES ?? '').split(','));

function createApp() {
  const app = express();
  app.use(express.json());
  return app;
}

function listen(app) {
  // Express knows an error handler by its four parameters.
  app.use((error, request, response, _next) => {
    response.status(502).json({ error: error.message });
  });
  const server = app.listen(PORT, process.env.SHOP_LISTEN);
  server.keepAliveTimeout = 30_000;
}

function call(method, url, body) {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const headers = payload && {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(payload),
  };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, agent, headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode >= 400) {
          reject(new Error(`${method} ${url}: ${response.statusCode}`));
        } else {
          resolve(JSON.parse(Buffer.concat(chunks)));
        }
      });
    });
    request.on('error', reject);
    request.end(payload);
  });
}

module.exports = { call, createApp, features, listen };
