import argon2 from 'argon2';
import bcrypt from 'bcrypt';
import { BCRYPT_COST_LIMIT, bcryptCost } from '../lib/bcrypt-cost.js';
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

/** Whether `password` is the one behind a bcrypt hash. */
export type CompareBcrypt = (password: string, hash: string) => Promise<boolean>;

export interface Passwords {
  /** The argon2id hash in PHC form. @throws DomainError `rate_limited` when too many wait. */
  hash(password: string): Promise<string>;
  /**
   * Whether `password` is the one behind `hash`, which may be argon2, or bcrypt up to a cost of 15. Without a hash, or
   * with one of another kind, the answer is false. All of that costs the same, so that nobody learns from the time
   * which accounts exist.
   * @param bcryptCost the highest cost of a bcrypt hash that any account still has; null when none has any.
   * @throws DomainError `rate_limited` when too many wait.
   */
  verify(hash: string | null, password: string, bcryptCost?: number | null): Promise<boolean>;
}

export function createPasswords(
  engine: PasswordEngine = argon2,
  compareBcrypt: CompareBcrypt = bcrypt.compare,
): Passwords {
  const limited = createSemaphore(CONCURRENCY, QUEUE_LIMIT, 'password_checks');

  async function verifyArgon2(hash: string | null, password: string): Promise<boolean> {
    const usable = hash?.startsWith('$argon2') ? hash : null;
    const matches = await engine.verify(usable ?? NOBODY, password);
    return usable !== null && matches;
  }

  /** Each cost is twice the one before, so a check at 10 and one more at 10 and 11 each come to a check at 12. */
  async function verifyBcrypt(
    hash: string | null,
    password: string,
    fullCost: number,
  ): Promise<boolean> {
    if (!isOutdated(hash))
      return compareBcrypt(password, nobodysBcrypt(fullCost)).then(() => false);
    // `2y` is PHP's name for the same.
    const matches = await compareBcrypt(password, hash.replace(/^\$2y/, '$2b'));
    for (let cost = bcryptCost(hash) ?? fullCost; cost < fullCost; cost += 1) {
      await compareBcrypt(password, nobodysBcrypt(cost));
    }
    return matches;
  }

  return {
    hash: (password) => limited(() => engine.hash(password, COST)),
    verify: (hash, password, fullCost = null) =>
      limited(async () => {
        const byArgon2 = await verifyArgon2(hash, password);
        if (fullCost === null) return byArgon2;
        const byBcrypt = await verifyBcrypt(hash, password, fullCost);
        return byArgon2 || byBcrypt;
      }),
  };
}

/** Whether a hash is of the adopted kind, which is replaced as soon as its password is known. */
export function isOutdated(hash: string | null): hash is string {
  const cost = hash === null ? undefined : bcryptCost(hash);
  return cost !== undefined && cost <= BCRYPT_COST_LIMIT;
}

function nobodysBcrypt(cost: number): string {
  return `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`;
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
