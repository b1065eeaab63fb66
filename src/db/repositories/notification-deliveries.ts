import { type RawBuilder, type Selectable, sql, type Updateable } from 'kysely';
import type { Handle } from '../dialect.js';
import type { NotificationDeliveriesTable } from '../schema.js';

export type DeliveryRow = Selectable<NotificationDeliveriesTable>;

/** Where a page ended; the next one begins behind it. */
export interface DeliveryCursor {
  created_at: number;
  id: string;
}

/** States of what has not been given up or delivered. */
const OPEN = ['pending', 'sending'];

export async function insertDeliveries(db: Handle, rows: readonly DeliveryRow[]): Promise<void> {
  if (rows.length > 0) await db.insertInto('notification_deliveries').values(rows).execute();
}

export async function findDelivery(
  db: Handle,
  accountId: string,
  deliveryId: string,
): Promise<DeliveryRow | undefined> {
  return db
    .selectFrom('notification_deliveries')
    .selectAll()
    .where('account_id', '=', accountId)
    .where('id', '=', deliveryId)
    .executeTakeFirst();
}

/** A page of the account's deliveries, newest first, behind `cursor` when given. */
export async function listDeliveries(
  db: Handle,
  query: {
    account_id: string;
    state?: string | undefined;
    channel_id?: string | undefined;
    limit: number;
    cursor?: DeliveryCursor | undefined;
  },
): Promise<DeliveryRow[]> {
  const { account_id, state, channel_id, limit, cursor } = query;
  let select = db
    .selectFrom('notification_deliveries')
    .selectAll()
    .where('account_id', '=', account_id)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit);
  if (state !== undefined) select = select.where('state', '=', state);
  if (channel_id !== undefined) select = select.where('channel_id', '=', channel_id);
  if (cursor) {
    const { created_at, id } = cursor;
    select = select.where(sql<boolean>`(created_at, id) < (${created_at}, ${id})`);
  }
  return select.execute();
}

/** How many of a channel's deliveries are still to be made; counts no further than `limit`. */
export async function countOpenDeliveries(
  db: Handle,
  channelId: string,
  limit: number,
): Promise<number> {
  const { count } = await db
    .selectFrom((eb) =>
      eb
        .selectFrom('notification_deliveries')
        .select('id')
        .where('channel_id', '=', channelId)
        .where('state', 'in', OPEN)
        .limit(limit)
        .as('open'),
    )
    .select((eb) => eb.fn.countAll<number | string>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** Whether the channel was sent a test since `since`. */
export async function hasTestSince(db: Handle, channel: Owned, since: number): Promise<boolean> {
  const test = await db
    .selectFrom('notification_deliveries')
    .select('id')
    .where('account_id', '=', channel.account_id)
    .where('created_at', '>', since)
    .where('channel_id', '=', channel.id)
    .where('change', '=', 'test')
    .limit(1)
    .executeTakeFirst();
  return test !== undefined;
}

/** Channels with something due at `now` and nothing under way, longest waiting first, without those in `except`. */
export async function dueChannels(
  db: Handle,
  now: number,
  except: readonly string[],
  limit: number,
): Promise<string[]> {
  let due = db
    .selectFrom('notification_deliveries as d')
    .select('d.channel_id')
    .where('d.state', 'in', OPEN)
    .where('d.next_attempt_at', '<=', now)
    .where(isIdle(sql.ref('d.channel_id'), now))
    .groupBy('d.channel_id')
    .orderBy((eb) => eb.fn.min('d.id'))
    .limit(limit);
  if (except.length > 0) due = due.where('d.channel_id', 'not in', except);
  return (await due.execute()).map(({ channel_id }) => channel_id);
}

/**
 * Takes the oldest delivery of a channel that is due at `now`, for one attempt that must end before `leaseUntil`: until
 * then nobody else is given any of this channel. Undefined when nothing is due or another attempt is under way.
 */
export async function claimDelivery(
  db: Handle,
  channelId: string,
  now: number,
  leaseUntil: number,
): Promise<DeliveryRow | undefined> {
  return (
    db
      .updateTable('notification_deliveries')
      .set((eb) => ({
        state: 'sending',
        attempts: eb('attempts', '+', 1),
        next_attempt_at: leaseUntil,
      }))
      .where('id', '=', (eb) =>
        eb
          .selectFrom('notification_deliveries as oldest')
          .select('oldest.id')
          .where('oldest.channel_id', '=', channelId)
          .where('oldest.state', 'in', OPEN)
          .where('oldest.next_attempt_at', '<=', now)
          .orderBy('oldest.id')
          .limit(1),
      )
      // PostgreSQL asks this again when it has waited for another instance that claimed the same row.
      .where('state', 'in', OPEN)
      .where('next_attempt_at', '<=', now)
      .where(isIdle(sql.val(channelId), now))
      .returningAll()
      .executeTakeFirst()
  );
}

/** Notes how the claimed attempt ended. Returns false when the claim was lost meanwhile; then nothing changes. */
export async function finishAttempt(
  db: Handle,
  { id, attempts }: Pick<DeliveryRow, 'id' | 'attempts'>,
  changes: Updateable<NotificationDeliveriesTable>,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('notification_deliveries')
    .set(changes)
    .where('id', '=', id)
    .where('state', '=', 'sending')
    .where('attempts', '=', attempts)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Gives up what a channel has waiting, for the reason given. What is being sent goes on. */
export async function buryPending(
  db: Handle,
  channel: Owned,
  now: number,
  reason: string,
): Promise<void> {
  await db
    .updateTable('notification_deliveries')
    .set({ state: 'dead', last_error: reason, finished_at: now, next_attempt_at: now })
    .where('account_id', '=', channel.account_id)
    .where('channel_id', '=', channel.id)
    .where('state', '=', 'pending')
    .execute();
}

/** Makes a dead or waiting delivery due at `now`; a dead one begins to count its attempts anew. */
export async function reviveDelivery(
  db: Handle,
  accountId: string,
  deliveryId: string,
  now: number,
): Promise<DeliveryRow | undefined> {
  return db
    .updateTable('notification_deliveries')
    .set((eb) => ({
      attempts: eb.case().when('state', '=', 'dead').then(0).else(eb.ref('attempts')).end(),
      state: 'pending',
      next_attempt_at: now,
      finished_at: null,
    }))
    .where('account_id', '=', accountId)
    .where('id', '=', deliveryId)
    .where('state', 'in', ['dead', 'pending'])
    .returningAll()
    .executeTakeFirst();
}

/** Deletes up to `limit` deliveries that were finished before `before`. Returns how many went. */
export async function deleteFinishedDeliveries(
  db: Handle,
  before: number,
  limit: number,
): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('notification_deliveries')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('notification_deliveries')
        .select('id')
        .where('state', 'in', ['delivered', 'dead'])
        // Set to the end when it came, and the index leads to it.
        .where('next_attempt_at', '<', before)
        .limit(limit),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}

interface Owned {
  id: string;
  account_id: string;
}

/** No attempt of this channel's is under way that has not lost its claim. */
function isIdle(channelId: RawBuilder<string>, now: number): RawBuilder<boolean> {
  return sql`not exists (
    select 1 from notification_deliveries as other
    where other.channel_id = ${channelId}
      and other.state = 'sending' and other.next_attempt_at > ${now})`;
}
