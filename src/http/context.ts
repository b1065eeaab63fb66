import type { FastifyRequest } from 'fastify';
import type { Context } from '../routers/context.js';
import type { Services } from '../services/index.js';
import { callerOf } from './credential.js';
import type { RateLimits } from './rate-limits.js';
import type { ContextSource } from './trpc-ws.js';

/** Makes the context of a call, the same whichever door it came through. */
export interface Contexts {
  forRest(request: FastifyRequest): Context;
  forTrpc(source: ContextSource): Context;
}

export function createContexts(services: Services, rateLimits: RateLimits): Contexts {
  function contextOf(request: FastifyRequest): Context {
    const { credential } = request;
    return {
      services,
      caller: callerOf(request),
      log: request.log as Context['log'],
      async authenticate() {
        const known = credential === undefined ? undefined : services.principals.cached(credential);
        return known ?? services.principals.resolve(credential);
      },
    };
  }
  return {
    forRest: contextOf,
    forTrpc({ req, connectionParams, socket }) {
      // A browser cannot set headers on a WebSocket; what it sends first stands in for them.
      req.credential ??= connectionParams?.token;
      const admit = req.ws ? () => rateLimits.call(req) : undefined;
      return { ...contextOf(req), socket, admit };
    },
  };
}
