import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Caller } from '../routers/context.js';

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

/** Gives every request its `credential`. */
export function readCredentials(app: FastifyInstance): void {
  app.decorateRequest('credential', undefined);
  app.addHook('onRequest', (request, _reply, done) => {
    request.credential = bearerOf(request.headers.authorization);
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
