import { randomBytes } from 'node:crypto';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { hashToken } from './principals.js';

/**
 * Stand-ins for a credential in an address, where browsers must put it to open a stream: good once and not for long, so
 * that what a proxy's log keeps of them is worth nothing. They live in this process alone.
 */
export interface Tickets {
  /** @throws DomainError `rate_limited` when more tickets are out than anybody needs. */
  issue(credential: string): { ticket: string; expires_in_seconds: number };
  /** What the ticket stands for, this once; undefined when it is unknown, used or too old. */
  redeem(ticket: string): string | undefined;
}

export const TICKET_TTL_SECONDS = 60;
const TTL_MS = TICKET_TTL_SECONDS * 1_000;
/** Unused tickets at once: of one credential, and of all. */
const LIMITS = { ofCredential: 100, all: 10_000 };

export function createTickets(clock: Clock, limits = LIMITS): Tickets {
  // All live equally long, so the oldest come first.
  const issued = new Map<string, { credential: string; expires_at: number }>();
  const unused = new Map<string, number>();

  function take(key: string): string | undefined {
    const ticket = issued.get(key);
    if (!ticket) return undefined;
    const { credential, expires_at } = ticket;
    issued.delete(key);
    const left = (unused.get(credential) ?? 1) - 1;
    if (left > 0) unused.set(credential, left);
    else unused.delete(credential);
    return expires_at > clock.now() ? credential : undefined;
  }

  function dropExpired(): void {
    const now = clock.now();
    for (const [key, { expires_at }] of issued) {
      if (expires_at > now) break;
      take(key);
    }
  }

  return {
    issue(credential) {
      dropExpired();
      const ofCredential = unused.get(credential) ?? 0;
      if (ofCredential >= limits.ofCredential || issued.size >= limits.all) {
        throw new DomainError('rate_limited', 'Too many tickets are unused; use them first', {
          limit: 'tickets',
          retryAfterMs: TTL_MS,
        });
      }
      const ticket = `fwt_${randomBytes(32).toString('base64url')}`;
      issued.set(hashToken(ticket), { credential, expires_at: clock.now() + TTL_MS });
      unused.set(credential, ofCredential + 1);
      return { ticket, expires_in_seconds: TICKET_TTL_SECONDS };
    },
    redeem: (ticket) => take(hashToken(ticket)),
  };
}
