import argon2 from 'argon2';
import { createSemaphore } from '../lib/semaphore.js';

/** argon2id as OWASP recommends it: 19 MiB, 2 passes, 1 lane (about 22 ms). */
const COST = { type: 2, memoryCost: 19 * 1_024, timeCost: 2, parallelism: 1 } as const;
/** More at once gain nothing and starve file and DNS calls, which share the thread pool. */
const CONCURRENCY = 2;
const QUEUE_LIMIT = 32;

/** What does the hashing; tests count its calls. */
export interface PasswordEngine {
  hash(password: string, cost: typeof COST): Promise<string>;
  verify(hash: string, password: string): Promise<boolean>;
}

export interface Passwords {
  /** The argon2id hash in PHC form. @throws DomainError `rate_limited` when too many wait. */
  hash(password: string): Promise<string>;
  /**
   * Whether `password` is the one behind `hash`. Without a hash, or with one that is not argon2, the answer is false
   * at the same cost, so that nobody learns from the time which accounts exist.
   * @throws DomainError `rate_limited` when too many wait.
   */
  verify(hash: string | null, password: string): Promise<boolean>;
}

export function createPasswords(engine: PasswordEngine = argon2): Passwords {
  const limited = createSemaphore(CONCURRENCY, QUEUE_LIMIT, 'password_checks');
  return {
    hash: (password) => limited(() => engine.hash(password, COST)),
    verify: (hash, password) =>
      limited(async () => {
        const usable = hash?.startsWith('$argon2') ? hash : null;
        const matches = await engine.verify(usable ?? NOBODY, password);
        return usable !== null && matches;
      }),
  };
}

/** A well-formed hash of no known password, at the present cost. */
const NOBODY = [
  '$argon2id$v=19',
  `m=${COST.memoryCost},t=${COST.timeCost},p=${COST.parallelism}`,
  base64(16),
  base64(32),
].join('$');

function base64(lengthBytes: number): string {
  return Buffer.alloc(lengthBytes, 1).toString('base64').replace(/=+$/, '');
}
