import { DomainError } from './errors.js';

/**
 * At most `concurrency` tasks at once, at most `queueLimit` waiting; one more is refused at once.
 * Tasks start in the order they came.
 * @throws DomainError `rate_limited` when the queue is full.
 */
export function createSemaphore(concurrency: number, queueLimit: number, limitName: string) {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async function run<T>(task: () => Promise<T>): Promise<T> {
    if (running >= concurrency) {
      if (waiting.length >= queueLimit) {
        throw new DomainError('rate_limited', 'Too many requests at once; try again shortly', {
          limit: limitName,
          retryAfterMs: 1_000,
        });
      }
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
