import { type Insertable, type Selectable, sql } from 'kysely';
import type { Handle } from '../dialect.js';
import type { MapsTable } from '../schema.js';
import type { RobotRow } from './robots.js';

/** A map without its image and its YAML. */
export type MapRow = Omit<Selectable<MapsTable>, 'pgm_data' | 'yaml_raw'>;

/** Where a page ended; the next one begins behind it. */
export interface MapCursor {
  created_at: number;
  id: string;
}

/** Exactly what the index `maps_account` holds, so that SQLite never reads through an image. */
const METADATA = [
  ...(['id', 'account_id', 'robot_id', 'name', 'resolution', 'origin_x', 'origin_y'] as const),
  ...(['origin_yaw', 'negate', 'occupied_thresh', 'free_thresh', 'mode', 'width'] as const),
  ...(['height', 'max_value', 'pgm_sha256', 'size_bytes', 'created_at'] as const),
] as const;

export async function insertMap(db: Handle, map: Insertable<MapsTable>): Promise<void> {
  await db.insertInto('maps').values(map).execute();
}

export async function findMap(
  db: Handle,
  accountId: string,
  mapId: string,
): Promise<MapRow | undefined> {
  return (
    db
      .selectFrom('maps')
      .select(METADATA)
      .where('account_id', '=', accountId)
      // Not by the primary key, which leads to the row and through the image.
      .where(sql<boolean>`id || '' = ${mapId}`)
      .executeTakeFirst()
  );
}

/** The account's maps, newest first, of one robot when `robotId` is given. */
export async function newestMaps(
  db: Handle,
  accountId: string,
  page: { limit: number; robotId?: string | undefined; cursor?: MapCursor | undefined },
): Promise<MapRow[]> {
  const { limit, robotId, cursor } = page;
  let query = db.selectFrom('maps').select(METADATA).where('account_id', '=', accountId);
  if (robotId !== undefined) query = query.where('robot_id', '=', robotId);
  if (cursor) {
    const { created_at, id } = cursor;
    query = query.where(sql<boolean>`(created_at, id) < (${created_at}, ${id})`);
  }
  return query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).execute();
}

export async function countMaps(db: Handle, accountId: string): Promise<number> {
  const { count } = await db
    .selectFrom('maps')
    .select((eb) => eb.fn.countAll().as('count'))
    .where('account_id', '=', accountId)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** The image of a map, byte for byte as it was uploaded. */
export async function readMapImage(
  db: Handle,
  accountId: string,
  mapId: string,
): Promise<Uint8Array | undefined> {
  const row = await db
    .selectFrom('maps')
    .select('pgm_data')
    .where('account_id', '=', accountId)
    .where('id', '=', mapId)
    .executeTakeFirst();
  return row?.pgm_data;
}

/** Deletes the map and takes it from the robots that have it as their active one. Returns those. */
export async function deleteMap(
  db: Handle,
  accountId: string,
  mapId: string,
  now: number,
): Promise<RobotRow[]> {
  await db.deleteFrom('maps').where('account_id', '=', accountId).where('id', '=', mapId).execute();
  return db
    .updateTable('robots')
    .set({ active_map_id: null, updated_at: now })
    .where('account_id', '=', accountId)
    .where('active_map_id', '=', mapId)
    .where('deleted_at', 'is', null)
    .returningAll()
    .execute();
}
