import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';

export interface ReceivedCall {
  method: string | undefined;
  path: string | undefined;
  headers: IncomingMessage['headers'];
  body: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests compare what came, whatever it is
  json: any;
}

/** A status, or whatever the handler writes. */
export type Reply = number | ((response: ServerResponse) => void);

/** A real HTTP server on this machine, what it was called with, and what it says to the n-th call (from 0). */
export async function startReceiver(replyTo: (call: ReceivedCall, n: number) => Reply = () => 204) {
  const calls: ReceivedCall[] = [];
  const server = createServer(async (request, response) => {
    const { method, url: path, headers } = request;
    const body = await text(request);
    const call = { method, path, headers, body, json: JSON.parse(body) };
    calls.push(call);
    const reply = replyTo(call, calls.length - 1);
    if (typeof reply === 'number') response.writeHead(reply).end();
    else reply(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { calls, port, url: `http://127.0.0.1:${port}/hook` };
}

/** Whether a call bears a signature made with this secret, as a receiver of Standard Webhooks checks it. */
export function isSignedWith(secret: string, { headers, body }: ReceivedCall): boolean {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const expected = createHmac('sha256', key).update(content).digest('base64');
  return headers['webhook-signature'] === `v1,${expected}`;
}
