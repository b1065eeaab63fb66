import type { ExpressionBuilder, Insertable, Selectable, Updateable } from 'kysely';
import type { Handle } from '../dialect.js';
import type { ApiKeysTable, Database } from '../schema.js';

export type ApiKeyRow = Selectable<ApiKeysTable>;

export async function insertKey(db: Handle, key: Insertable<ApiKeysTable>): Promise<void> {
  await db.insertInto('api_keys').values(key).execute();
}

export async function findKey(
  db: Handle,
  accountId: string,
  keyId: string,
): Promise<ApiKeyRow | undefined> {
  return db
    .selectFrom('api_keys')
    .selectAll()
    .where('account_id', '=', accountId)
    .where('id', '=', keyId)
    .executeTakeFirst();
}

/** The key whose secret has this SHA-256 (hex), if it works at `now`: a robot's key only while the robot exists. */
export async function findLiveKeyByHash(
  db: Handle,
  secretHash: string,
  now: number,
): Promise<ApiKeyRow | undefined> {
  return db
    .selectFrom('api_keys')
    .selectAll()
    .where('secret_hash', '=', secretHash)
    .where((eb) => isLive(eb, now))
    .where((eb) =>
      eb.or([
        eb('robot_id', 'is', null),
        eb.exists(
          eb
            .selectFrom('robots')
            .select('robots.id')
            .whereRef('robots.id', '=', 'api_keys.robot_id')
            .whereRef('robots.account_id', '=', 'api_keys.account_id')
            .where('robots.deleted_at', 'is', null),
        ),
      ]),
    )
    .executeTakeFirst();
}

/** The account's keys: those that work at `now` first, newest first, at most `limit`. */
export async function listKeys(
  db: Handle,
  accountId: string,
  now: number,
  limit: number,
): Promise<ApiKeyRow[]> {
  return db
    .selectFrom('api_keys')
    .selectAll()
    .where('account_id', '=', accountId)
    .orderBy((eb) => eb.case().when(isLive(eb, now)).then(0).else(1).end())
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .limit(limit)
    .execute();
}

export async function countLiveKeys(db: Handle, accountId: string, now: number): Promise<number> {
  const { count } = await db
    .selectFrom('api_keys')
    .select((eb) => eb.fn.countAll<number | string>().as('count'))
    .where('account_id', '=', accountId)
    .where((eb) => isLive(eb, now))
    .executeTakeFirstOrThrow();
  return Number(count);
}

export async function updateKey(
  db: Handle,
  accountId: string,
  keyId: string,
  changes: Updateable<ApiKeysTable>,
): Promise<ApiKeyRow> {
  return db
    .updateTable('api_keys')
    .set(changes)
    .where('account_id', '=', accountId)
    .where('id', '=', keyId)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Revokes the key and the old secrets it left behind by rotation. Returns the hashes that worked until now. */
export async function revokeKey(
  db: Handle,
  accountId: string,
  keyId: string,
  now: number,
): Promise<string[]> {
  const revoked = await db
    .updateTable('api_keys')
    .set({ revoked_at: now })
    .where('account_id', '=', accountId)
    .where((eb) => eb.or([eb('id', '=', keyId), eb('superseded_by', '=', keyId)]))
    .where('revoked_at', 'is', null)
    .returning('secret_hash')
    .execute();
  return revoked.map((row) => row.secret_hash);
}

/** Notes a use at `usedAt` of those secrets (by hash) that have had none noted since `notSince`. */
export async function markKeysUsed(
  db: Handle,
  secretHashes: readonly string[],
  usedAt: number,
  notSince: number,
): Promise<void> {
  await db
    .updateTable('api_keys')
    .set({ last_used_at: usedAt })
    .where('secret_hash', 'in', secretHashes)
    .where((eb) => eb.or([eb('last_used_at', 'is', null), eb('last_used_at', '<=', notSince)]))
    .execute();
}

/** Removes the account's keys that stopped working before `before`. */
export async function deleteDeadKeys(db: Handle, accountId: string, before: number): Promise<void> {
  await db
    .deleteFrom('api_keys')
    .where('account_id', '=', accountId)
    .where((eb) => eb.or([eb('revoked_at', '<', before), eb('expires_at', '<', before)]))
    .execute();
}

function isLive(eb: ExpressionBuilder<Database, 'api_keys'>, now: number) {
  return eb.and([
    eb('revoked_at', 'is', null),
    eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]),
  ]);
}
