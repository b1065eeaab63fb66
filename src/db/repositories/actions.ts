import type { Selectable, Updateable } from 'kysely';
import type { Handle } from '../dialect.js';
import type { ActionsTable } from '../schema.js';

export type ActionRow = Selectable<ActionsTable>;

/** Adds the action unless the account has one of this name. Returns whether it was added. */
export async function insertAction(db: Handle, action: ActionRow): Promise<boolean> {
  const result = await db
    .insertInto('actions')
    .values(action)
    .onConflict((conflict) => conflict.columns(['account_id', 'name']).doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows !== 0n;
}

export async function countActions(db: Handle, accountId: string): Promise<number> {
  const { count } = await db
    .selectFrom('actions')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('account_id', '=', accountId)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** The account's own actions by name, at most `limit`. */
export async function listActions(
  db: Handle,
  accountId: string,
  limit: number,
): Promise<ActionRow[]> {
  return db
    .selectFrom('actions')
    .selectAll()
    .where('account_id', '=', accountId)
    .orderBy('name')
    .limit(limit)
    .execute();
}

export async function findAction(
  db: Handle,
  accountId: string,
  by: { id: string } | { name: string },
): Promise<ActionRow | undefined> {
  const select = db.selectFrom('actions').selectAll().where('account_id', '=', accountId);
  return (
    'id' in by ? select.where('id', '=', by.id) : select.where('name', '=', by.name)
  ).executeTakeFirst();
}

/** Whether any account has an action of this id. */
export async function actionExists(db: Handle, actionId: string): Promise<boolean> {
  const found = await db
    .selectFrom('actions')
    .select('id')
    .where('id', '=', actionId)
    .executeTakeFirst();
  return found !== undefined;
}

/** @throws a unique violation when the account has another action of the new name. */
export async function updateAction(
  db: Handle,
  accountId: string,
  actionId: string,
  changes: Updateable<ActionsTable>,
): Promise<ActionRow | undefined> {
  return db
    .updateTable('actions')
    .set(changes)
    .where('account_id', '=', accountId)
    .where('id', '=', actionId)
    .returningAll()
    .executeTakeFirst();
}

/** Returns whether there was such an action. */
export async function deleteAction(
  db: Handle,
  accountId: string,
  actionId: string,
): Promise<boolean> {
  const result = await db
    .deleteFrom('actions')
    .where('account_id', '=', accountId)
    .where('id', '=', actionId)
    .executeTakeFirst();
  return result.numDeletedRows !== 0n;
}
