import { randomUUID } from 'node:crypto';
import type { Principal } from '../contract/access.js';
import { toInstant } from '../contract/common.js';
import type {
  ActiveMapSet,
  ListMapsInput,
  MapImage,
  MapList,
  MapMetadata,
  SetActiveMapInput,
  UploadMapInput,
} from '../contract/maps.js';
import type { Db } from '../db/client.js';
import { lockAccount } from '../db/repositories/accounts.js';
import {
  countMaps,
  deleteMap,
  findMap,
  insertMap,
  type MapRow,
  newestMaps,
  readMapImage,
} from '../db/repositories/maps.js';
import { updateRobot } from '../db/repositories/robots.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Fleet } from './fleet.js';
import { createMapImages, type ImageFormat } from './map-images.js';
import { checkMap } from './map-upload.js';
import { formatCursor, parseCreatedCursor } from './time-cursor.js';

/** An image of a map that is read only when it is needed. */
export interface MapImageFile {
  /** SHA-256 of the PGM in hex. */
  sha256: string;
  /** Null when it is not known before the image is read. */
  size_bytes: number | null;
  read(): Promise<Uint8Array>;
}

/**
 * The maps of an account; another's are `not_found`. A robot's own key may read all of them, because any may be its
 * active map, and deletes only what it uploaded.
 */
export interface Maps {
  /** The largest body of an upload. */
  uploadLimitBytes: number;
  /**
   * Stores a map and returns its id. What a robot's own key uploads is that robot's.
   * @throws DomainError `invalid_input` with every defect of YAML and image; `forbidden` for one map too many.
   */
  upload(principal: Principal, input: UploadMapInput): Promise<string>;
  /** Newest first. */
  list(principal: Principal, query: ListMapsInput): Promise<MapList>;
  get(principal: Principal, mapId: string): Promise<MapMetadata>;
  /** @throws DomainError `not_found` when there is none, of this robot if one is named. */
  latest(principal: Principal, robotId?: string): Promise<MapMetadata>;
  /** Deletes the map; robots that have it as their active one have none from then on. */
  delete(principal: Principal, mapId: string): Promise<void>;
  setActive(principal: Principal, input: SetActiveMapInput): Promise<ActiveMapSet>;
  /** @throws DomainError `not_found` when the robot has none. */
  active(principal: Principal, robotId: string): Promise<MapMetadata>;
  /** Where the image is. */
  image(principal: Principal, mapId: string): Promise<MapImage>;
  imageFile(principal: Principal, mapId: string, format: ImageFormat): Promise<MapImageFile>;
}

export interface MapsDeps {
  db: Db;
  fleet: Fleet;
  clock: Clock;
  uploadLimitBytes: number;
  pixelLimit: number;
  mapsPerAccount: number;
}

export function createMaps(deps: MapsDeps): Maps {
  const { db, fleet, clock, uploadLimitBytes, pixelLimit, mapsPerAccount } = deps;
  const images = createMapImages(pixelLimit);

  async function find({ account_id }: Principal, mapId: string): Promise<MapRow> {
    const row = await findMap(db, account_id, mapId);
    if (!row) throw notFound();
    return row;
  }

  async function readPgm({ account_id }: Principal, mapId: string): Promise<Uint8Array> {
    const pgm = await readMapImage(db, account_id, mapId);
    if (!pgm) throw notFound();
    return pgm;
  }

  return {
    uploadLimitBytes,
    async upload(principal, input) {
      const { account_id } = principal;
      const robot_id = input.robot_id ?? principal.robot_id;
      if (robot_id !== null) await fleet.owned(principal, robot_id);
      const { yaml, image, pgm, pgm_sha256, name } = await checkMap(input, pixelLimit);
      const [origin_x, origin_y, origin_yaw] = yaml.origin;
      const id = randomUUID();
      await db.transaction().execute(async (transaction) => {
        await lockAccount(transaction, account_id);
        if ((await countMaps(transaction, account_id)) >= mapsPerAccount) {
          throw new DomainError(
            'forbidden',
            `An account has at most ${mapsPerAccount} maps; delete one first`,
            { limit: 'maps_per_account' },
          );
        }
        // Two maps of one millisecond have an order too, and the clock may have been set back.
        const [last] = await newestMaps(transaction, account_id, { limit: 1 });
        await insertMap(transaction, {
          ...{ id, account_id, robot_id, name, origin_x, origin_y, origin_yaw, pgm_sha256 },
          resolution: yaml.resolution,
          negate: yaml.negate ? 1 : 0,
          occupied_thresh: yaml.occupied_thresh,
          free_thresh: yaml.free_thresh,
          mode: yaml.mode,
          width: image.width,
          height: image.height,
          max_value: image.max_value,
          size_bytes: pgm.length,
          pgm_data: pgm,
          yaml_raw: input.yaml,
          created_at: Math.max(clock.now(), (last?.created_at ?? 0) + 1),
        });
      });
      return id;
    },

    async list({ account_id }, { robot_id: robotId, limit, cursor }) {
      const after = cursor === undefined ? undefined : parseCreatedCursor(cursor);
      const page = { robotId, cursor: after, limit: limit + 1 };
      const rows = await newestMaps(db, account_id, page);
      const maps = rows.slice(0, limit);
      const last = rows.length > limit ? maps.at(-1) : undefined;
      return {
        maps: maps.map(toWire),
        count: maps.length,
        next_cursor: last ? formatCursor(last.created_at, last.id) : null,
      };
    },

    get: async (principal, mapId) => toWire(await find(principal, mapId)),

    async latest({ account_id }, robotId) {
      const [row] = await newestMaps(db, account_id, { limit: 1, robotId });
      if (!row) throw new DomainError('not_found', 'No map available');
      return toWire(row);
    },

    async delete(principal, mapId) {
      const { account_id } = principal;
      const robots = await db.transaction().execute(async (transaction) => {
        await lockAccount(transaction, account_id);
        const row = await findMap(transaction, account_id, mapId);
        if (!row) throw notFound();
        if (principal.robot_id !== null && principal.robot_id !== row.robot_id) {
          throw new DomainError('forbidden', 'Access denied');
        }
        return deleteMap(transaction, account_id, mapId, clock.now());
      });
      for (const robot of robots) fleet.put(robot);
    },

    async setActive(principal, { robot_id, map_id }) {
      const { account_id } = principal;
      await fleet.owned(principal, robot_id);
      const row = await db.transaction().execute(async (transaction) => {
        // Or the map could be deleted in between.
        await lockAccount(transaction, account_id);
        if (map_id !== null && !(await findMap(transaction, account_id, map_id))) throw notFound();
        const changes = { active_map_id: map_id, updated_at: clock.now() };
        return updateRobot(transaction, account_id, robot_id, changes);
      });
      if (!row) throw new DomainError('not_found', 'Robot not found');
      fleet.put(row);
      return { message: 'Active map updated', robot_id, active_map_id: map_id };
    },

    async active(principal, robotId) {
      const { active_map_id } = (await fleet.owned(principal, robotId)).row;
      const row =
        active_map_id === null ? undefined : await findMap(db, principal.account_id, active_map_id);
      if (!row) throw new DomainError('not_found', 'The robot has no active map');
      return toWire(row);
    },

    async image(principal, mapId) {
      const { pgm_sha256, size_bytes } = await find(principal, mapId);
      const pgm_url = `/api/v1/map/${encodeURIComponent(mapId)}/image`;
      const png_url = `${pgm_url}?format=png`;
      return { map_id: mapId, pgm_url, png_url, sha256: pgm_sha256, size_bytes };
    },

    async imageFile(principal, mapId, format) {
      const { pgm_sha256, size_bytes } = await find(principal, mapId);
      return {
        sha256: pgm_sha256,
        size_bytes: format === 'pgm' ? size_bytes : null,
        read: () => images.get(pgm_sha256, format, () => readPgm(principal, mapId)),
      };
    },
  };
}

function notFound(): DomainError {
  return new DomainError('not_found', 'Map not found');
}

function toWire(row: MapRow): MapMetadata {
  const { pgm_sha256: _, origin_x, origin_y, origin_yaw, ...rest } = row;
  const hasOrigin = origin_x !== null && origin_y !== null && origin_yaw !== null;
  return {
    ...rest,
    ...{ origin_x, origin_y, origin_yaw },
    origin: hasOrigin ? [origin_x, origin_y, origin_yaw] : null,
    negate: row.negate === null ? null : row.negate === 1,
    created_at: toInstant(row.created_at),
  };
}
