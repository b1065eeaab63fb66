import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { STATUS_RESPONSE_SCHEMA, statusAnswer } from './status-route.js';

// The floor: what Fastify alone needs to read a status, answer it by a schema, and do nothing with it.
const app = fastify({ logger: false });
app.post(
  '/api/v1/robots/:robotId/status',
  { schema: { response: { 200: STATUS_RESPONSE_SCHEMA } } },
  async () => statusAnswer(Date.now()),
);
await app.listen({ host: '127.0.0.1', port: 0 });
process.send?.({ port: (app.server.address() as AddressInfo).port });
process.on('SIGTERM', () => app.close().then(() => process.exit()));
process.on('disconnect', () => process.exit());
