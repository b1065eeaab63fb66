import type { FastifyRequest } from 'fastify';
import { DomainError } from '../lib/errors.js';
import { requestLog } from '../lib/logger.js';
import type { Caller, Context } from '../routers/context.js';
import type { Services } from '../services/index.js';
import { callerOf } from './credential.js';
import type { RateLimits } from './rate-limits.js';
import type { RoomLimits } from './room-limits.js';
import type { ContextSource } from './trpc-ws.js';

/** Makes the context of a call, the same whichever door it came through. */
export interface Contexts {
  forRest(request: FastifyRequest): Context;
  forTrpc(source: ContextSource): Context;
}

/** @param publicUrl where people reach the server; empty for where the request went */
export function createContexts(
  services: Services,
  rateLimits: RateLimits,
  roomLimits: RoomLimits,
  publicUrl: string,
): Contexts {
  function contextOf(request: FastifyRequest, door: Caller['door']): Context {
    const { credential } = request;
    return {
      services,
      credential,
      caller: {
        door,
        get ip() {
          return request.ip;
        },
        get origin() {
          return publicUrl || `${request.protocol}://${request.host}`;
        },
        get loopback() {
          return callerOf(request).loopback;
        },
      },
      log: {
        error: (fields, message) => requestLog(request.log, request.id).error(fields, message),
      },
      admitLogin: () => rateLimits.login(request),
      admitToRoom: () => roomLimits.join(request.ip),
      async authenticate() {
        const known = credential === undefined ? undefined : services.principals.cached(credential);
        return known ?? services.principals.resolve(credential);
      },
      issueTicket() {
        if (credential !== undefined) return services.tickets.issue(credential);
        throw new DomainError('unauthenticated', 'Invalid certification key');
      },
    };
  }
  return {
    forRest: (request) => contextOf(request, 'rest'),
    forTrpc({ req, connectionParams, socket }) {
      // A browser cannot set headers on a WebSocket; what it sends first stands in for them.
      req.credential ??= connectionParams?.token;
      // Of a request over HTTP the first call has been counted; those batched with it have not.
      let counted = !req.ws;
      function admit(): void {
        if (!counted) rateLimits.call(req);
        counted = false;
      }
      return Object.assign(contextOf(req, 'trpc'), { socket, admit });
    },
  };
}
