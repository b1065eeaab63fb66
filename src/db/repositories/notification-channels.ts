import type { Selectable, Updateable } from 'kysely';
import { dialectOf, type Handle } from '../dialect.js';
import type { NotificationChannelsTable } from '../schema.js';

export type ChannelRow = Selectable<NotificationChannelsTable>;

export async function insertChannel(db: Handle, channel: ChannelRow): Promise<void> {
  await db.insertInto('notification_channels').values(channel).execute();
}

export async function findChannel(
  db: Handle,
  accountId: string,
  channelId: string,
): Promise<ChannelRow | undefined> {
  return ofAccount(db, accountId).selectAll().where('id', '=', channelId).executeTakeFirst();
}

/** The account's channels, oldest first, at most `limit`. */
export async function listChannels(
  db: Handle,
  accountId: string,
  limit: number,
): Promise<ChannelRow[]> {
  return ofAccount(db, accountId)
    .selectAll()
    .orderBy('created_at')
    .orderBy('id')
    .limit(limit)
    .execute();
}

/**
 * The account's channels that are switched on, for a transaction that adds deliveries: none of them can be deleted
 * before it ends.
 */
export async function openChannels(tx: Handle, accountId: string): Promise<ChannelRow[]> {
  const channels = ofAccount(tx, accountId).selectAll().where('enabled', '=', 1).orderBy('id');
  // SQLite has one writer at a time, and no such clause.
  return (dialectOf(tx) === 'postgres' ? channels.forKeyShare() : channels).execute();
}

export async function countChannels(db: Handle, accountId: string): Promise<number> {
  const { count } = await ofAccount(db, accountId)
    .select((eb) => eb.fn.countAll<number | string>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** Returns the changed channel, or undefined when the account has none of this id. */
export async function updateChannel(
  db: Handle,
  accountId: string,
  channelId: string,
  changes: Updateable<NotificationChannelsTable>,
): Promise<ChannelRow | undefined> {
  return db
    .updateTable('notification_channels')
    .set(changes)
    .where('account_id', '=', accountId)
    .where('id', '=', channelId)
    .returningAll()
    .executeTakeFirst();
}

/** Deletes the channel with its deliveries. Returns whether there was one. */
export async function deleteChannel(
  db: Handle,
  accountId: string,
  channelId: string,
): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('notification_channels')
    .where('account_id', '=', accountId)
    .where('id', '=', channelId)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

function ofAccount(db: Handle, accountId: string) {
  return db.selectFrom('notification_channels').where('account_id', '=', accountId);
}
