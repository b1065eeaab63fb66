import type { AddressInfo } from 'node:net';
import fastify from 'fastify';
import { answerCall } from './rpc-call.js';
import { STATUS_RESPONSE_SCHEMA } from './status-route.js';

// The floor: what Fastify alone needs to read the body or the query of a call and to answer it by a schema.
const app = fastify({ logger: false });
const schema = { response: { 200: STATUS_RESPONSE_SCHEMA } };
app.post('/call', { schema }, async ({ body }) => ({
  success: true,
  data: answerCall(body as never),
}));
app.get('/call', { schema }, async ({ query }) => ({
  success: true,
  data: answerCall(query as never),
}));
await app.listen({ host: '127.0.0.1', port: 0 });
process.send?.({ port: (app.server.address() as AddressInfo).port });
process.on('SIGTERM', () => app.close().then(() => process.exit()));
process.on('disconnect', () => process.exit());
