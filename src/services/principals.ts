import { hash, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type Principal, SCOPES, Scope } from '../contract/access.js';
import type { Db } from '../db/client.js';
import { findAccountByKeyHash } from '../db/repositories/accounts.js';
import { type ApiKeyRow, findLiveKeyByHash } from '../db/repositories/api-keys.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Logger } from '../lib/logger.js';
import { createKeyUses, USE_NOTED_EVERY_MS } from './key-uses.js';

/** How long a credential that was revoked by another process may go on working here. */
const TTL_MS = 1_000;
/** How many tokens are remembered; refused ones apart, so that guessing does not push out those that work. */
const REMEMBERED = { known: 10_000, refused: 1_000 };
const TOKEN_LIMIT_CHARS = 256;
const ACCOUNT_SCOPES: ReadonlySet<Scope> = new Set(SCOPES);

/** The one place where a bearer token becomes a principal. */
export interface Principals {
  /** The principal of a token that was resolved less than a second ago; undefined says nothing about the token. */
  cached(token: string): Principal | undefined;
  /** @throws DomainError `unauthenticated` when the token is missing, unknown, expired or revoked. */
  resolve(token: string | undefined): Promise<Principal>;
  /** Stops a credential at once in this process, by the SHA-256 of its token. Call it after the commit. */
  forget(tokenHash: string): void;
  /** Writes the last uses that are still in memory. */
  close(): Promise<void>;
}

export interface PrincipalsDeps {
  db: Db;
  clock: Clock;
  log: Logger;
}

interface Known {
  principal: Principal;
  /** When its look-up began: what was revoked later than that is not seen yet. */
  checked_at: number;
  /** When its last use was noted; null for a certification key, of which none is kept. */
  use_noted_at: number | null;
}

/** SHA-256 in hex: what every credential is stored and looked up by. */
export function hashToken(token: string): string {
  return hash('sha256', token, 'hex');
}

export function createPrincipals(
  { db, clock, log }: PrincipalsDeps,
  remembered = REMEMBERED,
): Principals {
  const known = new LRUCache<string, Known>({ max: remembered.known });
  const refused = new LRUCache<string, number>({ max: remembered.refused });
  /** The hashes of good tokens, so that a busy robot's is not hashed at every request. */
  const hashes = new LRUCache<string, string>({ max: remembered.known });
  const lookups = new Map<string, Promise<Principal | undefined>>();
  const uses = createKeyUses({ db, clock, log });

  function hit(tokenHash: string): Principal | undefined {
    const entry = known.get(tokenHash);
    if (!entry) return undefined;
    const now = clock.now();
    const { expires_at } = entry.principal;
    if (!isFresh(entry.checked_at, now) || (expires_at !== null && expires_at <= now)) {
      return undefined;
    }
    if (entry.use_noted_at !== null && now - entry.use_noted_at >= USE_NOTED_EVERY_MS) {
      entry.use_noted_at = now;
      uses.note(tokenHash, now);
    }
    return entry.principal;
  }

  function lookUp(token: string, tokenHash: string): Promise<Principal | undefined> {
    const checkedAt = clock.now();
    const lookup = find(token, tokenHash)
      .then((found) => {
        // A look-up that `forget` has overtaken may have seen the row as it was before.
        if (lookups.get(tokenHash) !== lookup) return found?.principal;
        if (!found) {
          known.delete(tokenHash);
          refused.set(tokenHash, checkedAt);
          return undefined;
        }
        known.set(tokenHash, { ...found, checked_at: checkedAt });
        return hit(tokenHash) ?? found.principal;
      })
      .finally(() => {
        if (lookups.get(tokenHash) === lookup) lookups.delete(tokenHash);
      });
    lookups.set(tokenHash, lookup);
    return lookup;
  }

  async function find(token: string, tokenHash: string): Promise<Omit<Known, 'checked_at'> | null> {
    if (!isApiKey(token)) {
      const account = await findAccountByKeyHash(db, tokenHash);
      if (!account || !sameHash(account.certification_key_hash, tokenHash)) return null;
      return { principal: accountPrincipal(account.id), use_noted_at: null };
    }
    const key = await findLiveKeyByHash(db, tokenHash, clock.now());
    if (!key || !sameHash(key.secret_hash, tokenHash)) return null;
    const use_noted_at = Math.max(key.last_used_at ?? 0, uses.notedAt(tokenHash));
    return { principal: keyPrincipal(key), use_noted_at };
  }

  return {
    cached(token) {
      const tokenHash = hashes.get(token);
      return tokenHash === undefined ? undefined : hit(tokenHash);
    },
    async resolve(token) {
      if (!token || token.length > TOKEN_LIMIT_CHARS) throw invalidKey();
      const tokenHash = hashToken(token);
      const principal = hit(tokenHash);
      if (principal) return principal;
      const refusedAt = refused.get(tokenHash);
      if (refusedAt !== undefined && isFresh(refusedAt, clock.now())) throw invalidKey();
      const found = await (lookups.get(tokenHash) ?? lookUp(token, tokenHash));
      if (!found) throw invalidKey();
      hashes.set(token, tokenHash);
      return found;
    },
    forget(tokenHash) {
      known.delete(tokenHash);
      lookups.delete(tokenHash);
    },
    close: () => uses.close(),
  };
}

function isApiKey(token: string): boolean {
  return token.startsWith('fwk_') || token.startsWith('fwr_');
}

/** A clock that was set back makes everything stale rather than fresh for ever. */
function isFresh(checkedAt: number, now: number): boolean {
  const ageMs = now - checkedAt;
  return ageMs >= 0 && ageMs < TTL_MS;
}

function sameHash(stored: string, computed: string): boolean {
  const [a, b] = [Buffer.from(stored), Buffer.from(computed)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function invalidKey(): DomainError {
  return new DomainError('unauthenticated', 'Invalid certification key');
}

function accountPrincipal(accountId: string): Principal {
  return {
    kind: 'account',
    account_id: accountId,
    key_id: null,
    robot_id: null,
    scopes: ACCOUNT_SCOPES,
    expires_at: null,
  };
}

function keyPrincipal(key: ApiKeyRow): Principal {
  return {
    kind: key.robot_id === null ? 'api_key' : 'robot_key',
    account_id: key.account_id,
    key_id: key.superseded_by ?? key.id,
    robot_id: key.robot_id,
    scopes: new Set(Scope.array().parse(JSON.parse(key.scopes))),
    expires_at: key.expires_at,
  };
}
