import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * What the address of a request says beside the path that is served: a credential in `/k/<key>/…`, for clients that can
 * change nothing but their base URL, and the one API that a connection is for.
 */
export interface Arrivals {
  /** Whatever comes on this connection is for that API alone, mounted below `/compat/<api>`. */
  bind(connection: Duplex, api: string): void;
  isBound(connection: Duplex): boolean;
  /** Turns the address into the path that is served. Call it once a request, before anything reads its `url`. */
  receive(request: IncomingMessage): void;
  /** The credential that stood in the address. */
  keyOf(request: IncomingMessage): string | undefined;
  /** The path as the caller wrote it, without query and credential: what messages may show. */
  pathOf(request: IncomingMessage): string;
}

interface Arrival {
  key: string | undefined;
  path: string;
}

/** Nearly every request; nothing is to be done for it. */
const PLAIN = /^\/(?!k\/)/;
const KEYED = /^\/k\/([^/?]+)\/?(.*)$/s;
/** Requests may be addressed by a whole URL; the router would take its path from behind the host. */
const ORIGIN = /^https?:\/\/[^/?#]*/i;

export function createArrivals(): Arrivals {
  const apis = new WeakMap<object, string>();
  const arrivals = new WeakMap<IncomingMessage, Arrival>();
  return {
    bind: (connection, api) => void apis.set(connection, api),
    isBound: (connection) => apis.has(connection),
    receive(request) {
      const written = request.url ?? '/';
      const api = apis.get(request.socket);
      if (api === undefined && PLAIN.test(written)) return;
      const asked = written.replace(ORIGIN, '');
      const { key, url } = splitKey(asked.startsWith('/') ? asked : `/${asked}`);
      arrivals.set(request, { key, path: pathOf(url) });
      request.url = api === undefined ? url : `/compat/${api}${url}`;
    },
    keyOf: (request) => arrivals.get(request)?.key,
    pathOf: (request) => arrivals.get(request)?.path ?? pathOf(request.url ?? '/'),
  };
}

function splitKey(url: string): { key: string | undefined; url: string } {
  const [, written = '', rest = ''] = KEYED.exec(url) ?? [];
  if (written === '') return { key: undefined, url };
  return { key: decode(written), url: `/${rest}` };
}

/** What cannot be decoded is no credential of anybody, and is refused as one. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? '/';
}
