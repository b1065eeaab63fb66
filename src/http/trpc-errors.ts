import { type AnyRouter, getErrorShape, getTRPCErrorFromUnknown, TRPCError } from '@trpc/server';
import { DomainError, ERROR_CATALOGUE } from '../lib/errors.js';
import type { Logger } from '../lib/logger.js';

/** The tRPC code of what Fastify refuses before a procedure is reached. */
const CODES_BY_STATUS: Readonly<Record<number, TRPCError['code']>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  408: 'TIMEOUT',
  413: 'PAYLOAD_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  429: 'TOO_MANY_REQUESTS',
  503: 'SERVICE_UNAVAILABLE',
};

/** The tRPC form of what was thrown outside of any procedure. */
export function toDoorError(error: unknown): TRPCError {
  if (error instanceof DomainError) {
    return new TRPCError({
      code: ERROR_CATALOGUE[error.code].trpc,
      message: error.message,
      cause: error,
    });
  }
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
  const code = CODES_BY_STATUS[status];
  return code
    ? new TRPCError({ code, message: (error as Error).message, cause: error })
    : getTRPCErrorFromUnknown(error);
}

/** What the client gets for an error outside of any procedure, formatted as the router formats its own. */
export function shapeOf(router: AnyRouter, error: TRPCError, path?: string): unknown {
  return getErrorShape({
    config: router._def._config,
    error,
    type: 'unknown',
    path,
    input: undefined,
    ctx: undefined,
  });
}

/** An `onError` that logs what nobody has logged yet; what a caller did wrong is his, and only of interest in debug. */
export function errorLogger(log: Logger) {
  return ({ error, path }: { error: TRPCError; path?: string | undefined }): void => {
    const unforeseen =
      error.code === 'INTERNAL_SERVER_ERROR' &&
      error.cause &&
      !(error.cause instanceof DomainError);
    if (unforeseen) log.error({ err: error.cause, path }, 'unforeseen tRPC error');
    else log.debug({ trpc_code: error.code, path, reason: error.message }, 'tRPC error');
  };
}
