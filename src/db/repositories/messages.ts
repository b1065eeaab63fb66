import { type Selectable, sql } from 'kysely';
import type { Handle } from '../dialect.js';
import type { RobotMessagesTable } from '../schema.js';

export type MessageRow = Selectable<RobotMessagesTable>;

/** A robot's messages by recorded time; both ends belong to the stretch. */
export interface MessageQuery {
  account_id: string;
  robot_id: string;
  schema_id?: string | undefined;
  start?: number | undefined;
  end?: number | undefined;
}

/** Where a page ended; the next one begins behind it. */
export interface MessageCursor {
  timestamp: number;
  id: number;
}

/** The newest `limit` messages, newest first, before `cursor` when given. */
export async function newestMessages(
  db: Handle,
  query: MessageQuery,
  limit: number,
  cursor?: MessageCursor,
): Promise<MessageRow[]> {
  const { account_id, robot_id, schema_id, start, end } = query;
  let select = db
    .selectFrom('robot_messages')
    .selectAll()
    .where('robot_id', '=', robot_id)
    .where('account_id', '=', account_id);
  if (schema_id !== undefined) select = select.where('schema_id', '=', schema_id);
  if (start !== undefined) select = select.where('timestamp', '>=', start);
  // What the cursor makes redundant is left out, or the index would not seek to it.
  if (cursor) {
    const { timestamp, id } = cursor;
    select = select
      .where('timestamp', '<=', timestamp)
      .where(sql<boolean>`(timestamp, id) < (${timestamp}, ${id})`);
  } else if (end !== undefined) {
    select = select.where('timestamp', '<=', end);
  }
  return select.orderBy('timestamp', 'desc').orderBy('id', 'desc').limit(limit).execute();
}

/** An account's messages after the id `after`, oldest first; of these robots or this schema alone if they are named. */
export async function messagesAfter(
  db: Handle,
  query: {
    account_id: string;
    robot_ids?: readonly string[] | undefined;
    schema_id?: string | undefined;
    after: number;
    limit: number;
  },
): Promise<MessageRow[]> {
  const { account_id, robot_ids, schema_id, after, limit } = query;
  let select = db
    .selectFrom('robot_messages')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit);
  if (robot_ids) select = select.where('robot_id', 'in', [...robot_ids]);
  if (schema_id !== undefined) select = select.where('schema_id', '=', schema_id);
  return select.execute();
}

/** The newest id of any message; 0 when there is none. */
export async function lastMessageId(db: Handle): Promise<number> {
  const row = await db
    .selectFrom('robot_messages')
    .select('id')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.id ?? 0;
}
