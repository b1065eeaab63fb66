import type { FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { DomainError, type ErrorCode } from '../lib/errors.js';
import { requestLog } from '../lib/logger.js';
import { failureOf } from '../rest-adapter/envelope.js';

/** Codes that applications may choose, each an HTTP status plus 4,000; the last is of RFC 6455. */
const CLOSE_CODES: Partial<Record<ErrorCode, number>> = {
  unauthenticated: 4_401,
  forbidden: 4_403,
  not_found: 4_404,
  conflict: 4_409,
  unavailable: 1_012,
};
const CLOSE_INTERNAL = 1_011;

/** Sends a robot what comes, as JSON; what ends it with an error ends the socket, with the reason. */
export async function sendFrames(
  ws: WebSocket,
  request: FastifyRequest,
  frames: AsyncIterable<object>,
): Promise<void> {
  try {
    for await (const frame of frames) ws.send(JSON.stringify(frame));
  } catch (error) {
    if (ws.readyState !== ws.OPEN) return;
    const { message } = failureOf(error, requestLog(request.log, request.id));
    const code = error instanceof DomainError ? CLOSE_CODES[error.code] : undefined;
    // A reason has room for 123 bytes.
    ws.close(code ?? CLOSE_INTERNAL, message.slice(0, 120));
  }
}

/** Answers a message that is wrong with `{error, code}`; a robot that leaves more than this unread is told nothing. */
export function sendFailure(
  ws: WebSocket,
  request: FastifyRequest,
  error: unknown,
  unreadLimitBytes: number,
): void {
  if (ws.readyState !== ws.OPEN || ws.bufferedAmount > unreadLimitBytes) return;
  const failure = failureOf(error, requestLog(request.log, request.id));
  const { message, code, limit, retryAfterMs } = failure;
  ws.send(JSON.stringify({ error: message, code, limit, retry_after_ms: retryAfterMs }));
}
