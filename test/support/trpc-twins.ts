import { once } from 'node:events';
import { type IncomingHttpHeaders, request } from 'node:http';
import { expect } from 'vitest';

/** One request, written as it stands. */
export interface Sent {
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string;
}

export interface Received {
  status: number | undefined;
  headers: IncomingHttpHeaders;
  text: string;
}

/** Who answered: the library streams, so it alone gives no length. */
export type Way = 'fast' | 'library';

export function wayOf({ headers }: Received): Way {
  return headers['content-length'] === undefined ? 'library' : 'fast';
}

/** Sends a request without making it any better, on a connection of its own. */
export async function send(port: number, sent: Sent): Promise<Received> {
  const { method = 'GET', path, body } = sent;
  const headers = { ...(body !== undefined && JSON_TYPE), ...sent.headers };
  const outgoing = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
  outgoing.end(body);
  const [response] = await once(outgoing, 'response');
  response.setEncoding('utf8');
  let text = '';
  for await (const part of response) text += part;
  return { status: response.statusCode, headers: response.headers, text };
}

const JSON_TYPE = { 'content-type': 'application/json' };

/** Those that say how the answer was carried, and not what it is. */
const CARRIERS = ['date', 'connection', 'keep-alive', 'content-length', 'transfer-encoding'];

/** What must be the same whoever answers. */
export function comparable({ status, headers, text }: Received): unknown {
  const kept = Object.entries(headers).filter(([name]) => !CARRIERS.includes(name));
  return { status, headers: Object.fromEntries(kept), text };
}

/** Sends the same to both servers and compares the answers; gives that of the first. */
export async function expectTwins(
  [fast, library]: readonly [fast: number, library: number],
  sent: Sent,
  way: Way,
): Promise<Received> {
  const [first, second] = await Promise.all([send(fast, sent), send(library, sent)]);
  expect(comparable(first)).toEqual(comparable(second));
  expect([wayOf(first), wayOf(second)]).toEqual([way, 'library']);
  return first;
}
