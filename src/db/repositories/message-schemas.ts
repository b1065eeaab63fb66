import type { Insertable, Selectable } from 'kysely';
import type { Handle } from '../dialect.js';
import type { MessageSchemasTable } from '../schema.js';

export type MessageSchemaRow = Selectable<MessageSchemasTable>;

export async function insertMessageSchema(
  db: Handle,
  schema: Insertable<MessageSchemasTable>,
): Promise<void> {
  await db.insertInto('message_schemas').values(schema).execute();
}

export async function findMessageSchema(
  db: Handle,
  accountId: string,
  id: string,
): Promise<MessageSchemaRow | undefined> {
  return db
    .selectFrom('message_schemas')
    .selectAll()
    .where('account_id', '=', accountId)
    .where('id', '=', id)
    .executeTakeFirst();
}

/** All of an account's, by id. */
export async function listMessageSchemas(
  db: Handle,
  accountId: string,
): Promise<MessageSchemaRow[]> {
  return db
    .selectFrom('message_schemas')
    .selectAll()
    .where('account_id', '=', accountId)
    .orderBy('id')
    .execute();
}

export async function countMessageSchemas(db: Handle, accountId: string): Promise<number> {
  const { count } = await db
    .selectFrom('message_schemas')
    .select((eb) => eb.fn.countAll<number | string>().as('count'))
    .where('account_id', '=', accountId)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** Changes the schema unless somebody else has since it was read as `known`; undefined then. */
export async function updateMessageSchema(
  db: Handle,
  known: MessageSchemaRow,
  changes: Pick<MessageSchemaRow, 'title' | 'schema' | 'example' | 'updated_at'>,
): Promise<MessageSchemaRow | undefined> {
  return db
    .updateTable('message_schemas')
    .set(changes)
    .where('account_id', '=', known.account_id)
    .where('id', '=', known.id)
    .where('title', '=', known.title)
    .where('schema', '=', known.schema)
    .where('example', '=', known.example)
    .returningAll()
    .executeTakeFirst();
}

/** Returns whether there was one. The messages that were stored under it stay. */
export async function deleteMessageSchema(
  db: Handle,
  accountId: string,
  id: string,
): Promise<boolean> {
  const result = await db
    .deleteFrom('message_schemas')
    .where('account_id', '=', accountId)
    .where('id', '=', id)
    .executeTakeFirst();
  return result.numDeletedRows !== 0n;
}
