import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Caller } from '../routers/context.js';
import type { Tickets } from '../services/tickets.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The bearer token, from wherever this door takes it; undefined when there is none. */
    credential: string | undefined;
  }
}

const BEARER = /^Bearer +(\S+) *$/i;
const PROTOCOL = /^bearer *, *([^\s,]+) *$/i;

/** The token of an Authorization header. */
export function bearerOf(header: string | undefined): string | undefined {
  return header === undefined ? undefined : BEARER.exec(header)?.[1];
}

/** What a browser can say with a WebSocket: `new WebSocket(url, ['bearer', key])`. Only the first word goes back to it. */
function protocolCredentialOf(header: string | undefined): string | undefined {
  return header === undefined ? undefined : PROTOCOL.exec(header)?.[1];
}

/**
 * The credential of a request that a browser makes without headers: that of the header if there is one all the same, else
 * that of the WebSocket's subprotocol, else `?token=`, else what `?ticket=` stands for. Call it once a request: a ticket is
 * used up by it.
 */
export function urlCredentialOf(
  { headers, query }: Pick<FastifyRequest, 'headers' | 'query'>,
  tickets: Tickets,
): string | undefined {
  const { token, ticket } = query as Record<string, unknown>;
  const bearer = bearerOf(headers.authorization);
  if (bearer !== undefined) return bearer;
  const protocol = protocolCredentialOf(headers['sec-websocket-protocol']);
  if (protocol !== undefined) return protocol;
  if (typeof token === 'string' && token !== '') return token;
  return typeof ticket === 'string' ? tickets.redeem(ticket) : undefined;
}

/**
 * Gives every request its `credential`; where the route's configuration says `takesUrlCredential`, from its query too. What
 * `keyOf` finds in its path is good everywhere, unless there is another.
 */
export function readCredentials(
  app: FastifyInstance,
  tickets: Tickets,
  keyOf: (request: IncomingMessage) => string | undefined = () => undefined,
): void {
  app.decorateRequest('credential', undefined);
  app.addHook('onRequest', (request, reply, done) => {
    const key = keyOf(request.raw);
    const own = request.routeOptions.config.takesUrlCredential
      ? urlCredentialOf(request, tickets)
      : bearerOf(request.headers.authorization);
    request.credential = own ?? key;
    // What a page loads from elsewhere must not learn the key of its address.
    if (key !== undefined) reply.header('referrer-policy', 'no-referrer');
    done();
  });
}

const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-real-ip', 'via'];

/**
 * Where a request comes from. Behind a proxy that is not trusted nobody is loopback, because everybody the proxy
 * forwards for would be; nor is a page of another host that a browser on this machine shows.
 */
export function callerOf(request: FastifyRequest): Omit<Caller, 'door' | 'origin'> {
  const { ip, headers, socket } = request;
  const forwarded = PROXY_HEADERS.some((name) => headers[name] !== undefined);
  const believed = ip !== socket.remoteAddress;
  const direct = !forwarded || believed;
  return { ip, loopback: isLoopback(ip) && direct && isLocalPage(headers.origin) };
}

function isLocalPage(origin: string | undefined): boolean {
  return (
    origin === undefined ||
    /^https?:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(origin)
  );
}

function isLoopback(ip: string): boolean {
  return ip === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(ip);
}
