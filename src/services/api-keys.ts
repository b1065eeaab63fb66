import { randomBytes, randomUUID } from 'node:crypto';
import {
  type CreateKeyInput,
  type Principal,
  type RotateKeyInput,
  Scope,
} from '../contract/access.js';
import type { Db, Handle } from '../db/client.js';
import { lockAccount } from '../db/repositories/accounts.js';
import {
  type ApiKeyRow,
  countLiveKeys,
  deleteDeadKeys,
  findKey,
  insertKey,
  listKeys,
  revokeKey,
  updateKey,
} from '../db/repositories/api-keys.js';
import { findRobot } from '../db/repositories/robots.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { assertHolds, grantableExpiry, grantableScopes, orNever } from './key-grants.js';
import { hashToken, type Principals } from './principals.js';

const KEYS_PER_ACCOUNT = 1_000;
const LIST_LIMIT = 2_000;
/** Keys that no longer work stay in the list this long, for whoever asks why a robot fell silent. */
const DEAD_KEPT_MS = 30 * 86_400_000;
const HINT_CHARS = 10;

/** A key without its secret; times are milliseconds since the epoch. */
export interface ApiKeyRecord {
  id: string;
  name: string;
  hint: string;
  superseded_by: string | null;
  robot_id: string | null;
  scopes: Scope[];
  created_at: number;
  expires_at: number | null;
  last_used_at: number | null;
  revoked_at: number | null;
}

/** `key` is the secret: it is not stored and cannot be shown again. */
export type NewApiKeyRecord = ApiKeyRecord & { key: string };

/** Everything here is about the keys of the caller's own account; another's are `not_found`. */
export interface ApiKeys {
  /**
   * The new key can do no more and live no longer than the caller's own.
   * @throws DomainError `forbidden` for a scope or a life the caller has not, another account's robot, or one key too
   * many; `not_found` for an unknown robot; `invalid_input` for a scope that robots cannot have.
   */
  create(caller: Principal, input: CreateKeyInput): Promise<NewApiKeyRecord>;
  /** Working keys first, newest first, at most 2,000. */
  list(caller: Principal): Promise<ApiKeyRecord[]>;
  /**
   * Gives the key a new secret and, if it expires, its full life again, though none longer than the caller's own. The
   * old secret goes on for the overlap as an entry of its own (`superseded_by`).
   * @throws DomainError `not_found`; `conflict` for a key that no longer works or an old secret; `forbidden` as for
   * create.
   */
  rotate(caller: Principal, input: RotateKeyInput): Promise<NewApiKeyRecord>;
  /** Stops the key and its old secrets: here at once, in other processes within a second. Repeating it is harmless. */
  revoke(caller: Principal, keyId: string): Promise<ApiKeyRecord>;
}

export interface ApiKeysDeps {
  db: Db;
  clock: Clock;
  principals: Pick<Principals, 'forget'>;
}

export function createApiKeys({ db, clock, principals }: ApiKeysDeps): ApiKeys {
  return {
    async create(caller, input) {
      const isForRobot = input.robot_id !== undefined;
      const scopes = grantableScopes(caller, input.scopes, isForRobot);
      const now = clock.now();
      const { key, ...secret } = newSecret(isForRobot);
      const row: ApiKeyRow = {
        ...secret,
        id: randomUUID(),
        account_id: caller.account_id,
        robot_id: input.robot_id ?? null,
        name: input.name,
        superseded_by: null,
        scopes: JSON.stringify(scopes),
        created_at: now,
        expires_at: grantableExpiry(caller, now, input.expires_in_seconds),
        last_used_at: null,
        revoked_at: null,
      };
      await db.transaction().execute(async (transaction) => {
        await lockAccount(transaction, caller.account_id);
        if (row.robot_id !== null) await assertOwnRobot(transaction, caller, row.robot_id);
        await deleteDeadKeys(transaction, caller.account_id, now - DEAD_KEPT_MS);
        await assertRoom(transaction, caller.account_id, now);
        await insertKey(transaction, row);
      });
      return { ...toRecord(row), key };
    },

    async list(caller) {
      const rows = await listKeys(db, caller.account_id, clock.now(), LIST_LIMIT);
      return rows.map(toRecord);
    },

    async rotate(caller, { key_id, overlap_seconds }) {
      const now = clock.now();
      const { old, renewed, key } = await db.transaction().execute(async (transaction) => {
        await lockAccount(transaction, caller.account_id);
        const old = await findKey(transaction, caller.account_id, key_id);
        assertRotatable(old, now);
        assertHolds(caller, toRecord(old).scopes);
        const { key, ...secret } = newSecret(old.robot_id !== null);
        const lifeMs = old.expires_at === null ? Infinity : old.expires_at - old.created_at;
        const expiresAt = Math.min(now + lifeMs, caller.expires_at ?? Infinity);
        const renewed = await updateKey(transaction, caller.account_id, key_id, {
          ...secret,
          created_at: now,
          expires_at: orNever(expiresAt),
          last_used_at: null,
        });
        if (overlap_seconds > 0) {
          await deleteDeadKeys(transaction, caller.account_id, now - DEAD_KEPT_MS);
          await assertRoom(transaction, caller.account_id, now);
          const overlapEnd = Math.min(now + overlap_seconds * 1_000, old.expires_at ?? Infinity);
          await insertKey(transaction, {
            ...old,
            id: randomUUID(),
            superseded_by: old.id,
            expires_at: overlapEnd,
          });
        }
        return { old, renewed, key };
      });
      principals.forget(old.secret_hash);
      return { ...toRecord(renewed), key };
    },

    async revoke(caller, keyId) {
      const hashes = await revokeKey(db, caller.account_id, keyId, clock.now());
      for (const hash of hashes) principals.forget(hash);
      const row = await findKey(db, caller.account_id, keyId);
      if (!row) throw notFound();
      return toRecord(row);
    },
  };
}

function newSecret(isForRobot: boolean) {
  const key = `${isForRobot ? 'fwr_' : 'fwk_'}${randomBytes(32).toString('base64url')}`;
  return { key, secret_hash: hashToken(key), hint: key.slice(0, HINT_CHARS) };
}

function toRecord({ account_id: _, secret_hash: __, scopes, ...row }: ApiKeyRow): ApiKeyRecord {
  return { ...row, scopes: Scope.array().parse(JSON.parse(scopes)) };
}

function assertRotatable(key: ApiKeyRow | undefined, now: number): asserts key is ApiKeyRow {
  if (!key) throw notFound();
  if (key.superseded_by !== null) {
    throw new DomainError(
      'conflict',
      `This is the old secret of key ${key.superseded_by}; rotate that key`,
    );
  }
  if (key.revoked_at !== null || (key.expires_at !== null && key.expires_at <= now)) {
    throw new DomainError('conflict', 'This key no longer works; create a new one');
  }
}

async function assertOwnRobot(db: Handle, caller: Principal, robotId: string): Promise<void> {
  const robot = await findRobot(db, robotId);
  if (!robot || robot.deleted_at !== null) throw new DomainError('not_found', 'Robot not found');
  if (robot.account_id !== caller.account_id) throw new DomainError('forbidden', 'Access denied');
}

async function assertRoom(db: Handle, accountId: string, now: number): Promise<void> {
  if ((await countLiveKeys(db, accountId, now)) >= KEYS_PER_ACCOUNT) {
    throw new DomainError(
      'forbidden',
      `An account has at most ${KEYS_PER_ACCOUNT} working keys; revoke one first`,
      { limit: 'keys_per_account' },
    );
  }
}

function notFound(): DomainError {
  return new DomainError('not_found', 'API key not found');
}
