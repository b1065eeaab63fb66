import type { Insertable, Selectable } from 'kysely';
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

/** Makes other transactions that lock the same account wait for this one. Must be called in a transaction. */
export async function lockAccount(db: Handle, accountId: string): Promise<void> {
  // Writing a row locks it on both databases; SQLite has no SELECT … FOR UPDATE.
  await db
    .updateTable('accounts')
    .set((eb) => ({ updated_at: eb.ref('updated_at') }))
    .where('id', '=', accountId)
    .execute();
}
