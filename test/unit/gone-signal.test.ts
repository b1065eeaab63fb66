import { once } from 'node:events';
import { createServer, get, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { goneSignal } from '../../src/lib/gone-signal.js';

async function openResponse() {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const request = get({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  request.on('error', () => {});
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
  return { request, response };
}

it('is aborted when the connection is lost before the answer', async () => {
  const { request, response } = await openResponse();
  const signal = goneSignal(response);
  expect(signal.aborted).toBe(false);
  request.destroy();
  await once(signal, 'abort');
});

it('is aborted from the start when the connection is lost already', async () => {
  const { request, response } = await openResponse();
  request.destroy();
  await once(response, 'close');
  expect(goneSignal(response).aborted).toBe(true);
});

it('is not aborted by an answer that was written', async () => {
  const { response } = await openResponse();
  const signal = goneSignal(response);
  response.end('all');
  await once(response, 'close');
  expect([signal.aborted, goneSignal(response).aborted]).toEqual([false, false]);
});
