import { type Insertable, type Selectable, sql } from 'kysely';
import type { Handle } from '../dialect.js';
import type { AccountsTable } from '../schema.js';

export type AccountRow = Selectable<AccountsTable>;

/** Adds the account unless its id, e-mail or key is taken; never fails for that. Returns whether it was added. */
export async function insertAccount(
  db: Handle,
  account: Insertable<AccountsTable>,
): Promise<boolean> {
  const added = await db
    .insertInto('accounts')
    .values(account)
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst();
  return added !== undefined;
}

export async function findAccount(db: Handle, accountId: string): Promise<AccountRow | undefined> {
  return db.selectFrom('accounts').selectAll().where('id', '=', accountId).executeTakeFirst();
}

/** @param email in lower case, as every account's is kept. */
export async function findAccountByEmail(
  db: Handle,
  email: string,
): Promise<AccountRow | undefined> {
  return db.selectFrom('accounts').selectAll().where('email', '=', email).executeTakeFirst();
}

/** The account whose certification key has this SHA-256 (hex). */
export async function findAccountByKeyHash(
  db: Handle,
  keyHash: string,
): Promise<Pick<AccountRow, 'id' | 'certification_key_hash'> | undefined> {
  return db
    .selectFrom('accounts')
    .select(['id', 'certification_key_hash'])
    .where('certification_key_hash', '=', keyHash)
    .executeTakeFirst();
}

/** The costs of all bcrypt hashes, each once. */
export async function bcryptCosts(db: Handle): Promise<number[]> {
  const rows = await db
    .selectFrom('accounts')
    .select(sql<string>`substr(password_hash, 5, 2)`.as('cost'))
    .distinct()
    .where('password_hash', 'like', '$2_$__$%')
    .execute();
  return rows.filter(({ cost }) => /^\d\d$/.test(cost)).map(({ cost }) => Number(cost));
}

/** Replaces a password's hash unless it has changed since it was read. */
export async function replacePasswordHash(
  db: Handle,
  accountId: string,
  oldHash: string,
  newHash: string,
): Promise<void> {
  await db
    .updateTable('accounts')
    .set({ password_hash: newHash })
    .where('id', '=', accountId)
    .where('password_hash', '=', oldHash)
    .execute();
}

/** Makes other transactions that lock the same account wait for this one. Must be called in a transaction. */
export async function lockAccount(db: Handle, accountId: string): Promise<void> {
  // Writing a row locks it on both databases; SQLite has no SELECT … FOR UPDATE.
  await db
    .updateTable('accounts')
    .set((eb) => ({ updated_at: eb.ref('updated_at') }))
    .where('id', '=', accountId)
    .execute();
}
