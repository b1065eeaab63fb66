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

/** The token of an Authorization header. */
export function bearerOf(header: string | undefined): string | undefined {
  return header === undefined ? undefined : BEARER.exec(header)?.[1];
}

/**
 * The credential of a request that a browser makes without headers: that of the header if there is one all the same, else
 * `?token=`, else what `?ticket=` stands for. Call it once a request: a ticket is used up by it.
 */
export function urlCredentialOf(
  { headers, query }: Pick<FastifyRequest, 'headers' | 'query'>,
  tickets: Tickets,
): string | undefined {
  const { token, ticket } = query as Record<string, unknown>;
  const bearer = bearerOf(headers.authorization);
  if (bearer !== undefined) return bearer;
  if (typeof token === 'string' && token !== '') return token;
  return typeof ticket === 'string' ? tickets.redeem(ticket) : undefined;
}

/** Gives every request its `credential`; where the route's configuration says `takesUrlCredential`, from its address too. */
export function readCredentials(app: FastifyInstance, tickets: Tickets): void {
  app.decorateRequest('credential', undefined);
  app.addHook('onRequest', (request, _reply, done) => {
    request.credential = request.routeOptions.config.takesUrlCredential
      ? urlCredentialOf(request, tickets)
      : bearerOf(request.headers.authorization);
    done();
  });
}

const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-real-ip', 'via'];

/**
 * Where a request comes from. Behind a proxy that is not trusted nobody is loopback, because everybody the proxy
 * forwards for would be; nor is a page of another host that a browser on this machine shows.
 */
export function callerOf(request: FastifyRequest): Omit<Caller, 'door'> {
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
