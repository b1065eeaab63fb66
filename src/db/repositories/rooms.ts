import type { Selectable } from 'kysely';
import type { Handle } from '../dialect.js';
import type { RoomsTable } from '../schema.js';

export type RoomRow = Selectable<RoomsTable>;

/** Who asks for a room whose id they know. */
export type RoomAsker =
  | { kind: 'account'; account_id: string }
  | { kind: 'pass'; pass_hash: string }
  | { kind: 'guest' };

/** @returns false when there is a room of that id already. */
export async function insertRoom(db: Handle, room: RoomRow): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('rooms')
    .values(room)
    .onConflict((oc) => oc.column('id').doNothing())
    .executeTakeFirstOrThrow();
  return Number(numInsertedOrUpdatedRows) === 1;
}

/** The room, unless it has expired or `asker` may not know of it: another account's, or one that the pass is not for. */
export async function findRoom(
  db: Handle,
  roomId: string,
  asker: RoomAsker,
  now: number,
): Promise<RoomRow | undefined> {
  let query = db
    .selectFrom('rooms')
    .selectAll()
    .where('id', '=', roomId)
    .where('expires_at', '>', now);
  if (asker.kind === 'account') {
    const { account_id } = asker;
    query = query.where((eb) =>
      eb.or([eb('account_id', '=', account_id), eb('account_id', 'is', null)]),
    );
  } else if (asker.kind === 'pass') {
    query = query.where('pass_hash', '=', asker.pass_hash);
  }
  return query.executeTakeFirst();
}

/** Rooms that have not expired: the account's, or those of nobody. */
export async function countRooms(
  db: Handle,
  accountId: string | null,
  now: number,
): Promise<number> {
  const { count } = await db
    .selectFrom('rooms')
    .select((eb) => eb.fn.countAll().as('count'))
    .where('account_id', accountId === null ? 'is' : '=', accountId)
    .where('expires_at', '>', now)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** Deletes up to `limit` rooms that expired at `now` or before. Returns their ids. */
export async function deleteExpiredRooms(
  db: Handle,
  now: number,
  limit: number,
): Promise<string[]> {
  const rows = await db
    .deleteFrom('rooms')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('rooms')
        .select('id')
        .where('expires_at', '<=', now)
        .orderBy('expires_at')
        .limit(limit),
    )
    .returning('id')
    .execute();
  return rows.map(({ id }) => id);
}
