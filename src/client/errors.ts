import { isTRPCClientError } from '@trpc/client';
import type { AppRouter } from './index.js';

/** Why the server refused a call, such as `not_found`; undefined when it was not the server who did. */
export function reasonOf(error: unknown) {
  return isTRPCClientError<AppRouter>(error) ? error.data?.reason : undefined;
}
