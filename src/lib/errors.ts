/**
 * The catalogue of everything that can go wrong for a caller: one code, its tRPC code and its HTTP status.
 * Surfaces (tRPC, each REST API) translate from here and nowhere else.
 */
export const ERROR_CATALOGUE = {
  invalid_input: { trpc: 'BAD_REQUEST', http: 400 },
  unauthenticated: { trpc: 'UNAUTHORIZED', http: 401 },
  forbidden: { trpc: 'FORBIDDEN', http: 403 },
  not_found: { trpc: 'NOT_FOUND', http: 404 },
  conflict: { trpc: 'CONFLICT', http: 409 },
  precondition_failed: { trpc: 'PRECONDITION_FAILED', http: 412 },
  precondition_required: { trpc: 'PRECONDITION_REQUIRED', http: 428 },
  too_large: { trpc: 'PAYLOAD_TOO_LARGE', http: 413 },
  rate_limited: { trpc: 'TOO_MANY_REQUESTS', http: 429 },
  overloaded: { trpc: 'SERVICE_UNAVAILABLE', http: 503 },
  unavailable: { trpc: 'SERVICE_UNAVAILABLE', http: 503 },
} as const;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

/** One thing wrong with an input: where (JSON path) and what would be right. */
export interface Issue {
  path: string;
  message: string;
}

export interface ErrorDetails {
  /** When a repeat may succeed; becomes `Retry-After` in whole seconds. */
  retryAfterMs?: number;
  /** The name of the limit that was hit. */
  limit?: string;
  issues?: Issue[];
}

/** An error whose message is written for the caller and safe to send. */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, publicMessage: string, details: ErrorDetails = {}) {
    super(publicMessage);
    this.code = code;
    this.details = details;
  }
}

/** For whoever comes when the server has begun to stop. */
export function stopping(whatToDo = 'send it again'): DomainError {
  return new DomainError('unavailable', `The server is stopping; ${whatToDo}`, {
    retryAfterMs: 1_000,
  });
}
