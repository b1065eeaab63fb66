import { type Found, STOP, scan } from '../lib/json-scan.js';
import {
  arrayOf,
  number,
  objectWith,
  type Shape,
  type ShapeOptions,
  text,
} from '../lib/json-shape.js';
import { KnownStatus, type Warning } from './status.js';

/** The keys of a status that have a column of their own; null where the status does not say. */
export interface HotColumns {
  x: number | null;
  y: number | null;
  lat: number | null;
  lng: number | null;
  battery_level: number | null;
}

const SLOT = { x: 0, y: 1, lat: 2, lng: 3, battery_level: 4 };
/** The slots of `scan` that `knownStatus` fills. */
export const KNOWN_SLOTS = 5;

const orNull = true;
const maybeText = text({ orNull });
const maybeNumber = number({ orNull });

const KNOWN_MEMBERS = {
  status: maybeText,
  mode: maybeText,
  battery_level: number({ orNull, minimum: 0, maximum: 100, slot: SLOT.battery_level }),
  global_position: objectWith(
    {
      latitude: number({ orNull, minimum: -90, maximum: 90, slot: SLOT.lat }),
      longitude: number({ orNull, minimum: -180, maximum: 180, slot: SLOT.lng }),
      altitude: maybeNumber,
    },
    { orNull },
  ),
  local_position: objectWith(
    {
      x: number({ orNull, slot: SLOT.x }),
      y: number({ orNull, slot: SLOT.y }),
      z: maybeNumber,
      yaw: maybeNumber,
    },
    { orNull },
  ),
  sensor_overview: arrayOf(
    objectWith({ sensor_id: maybeText, sensor_type: maybeText, unit: maybeText }),
    { orNull },
  ),
  laser_scan: objectWith(
    { ranges: arrayOf(maybeNumber, { orNull }), angle_min: maybeNumber, angle_max: maybeNumber },
    { orNull },
  ),
};

/**
 * KnownStatus for `scan`, which sees at a tenth of the cost of the schema that a status is in order, as most are. A test
 * holds the two together.
 */
export function knownStatus(options?: ShapeOptions): Shape {
  return objectWith(KNOWN_MEMBERS, options);
}

/** What a scan of `knownStatus` has found. */
export function foundColumns(found: Found): HotColumns {
  return withWholePositions({
    x: at(found, SLOT.x),
    y: at(found, SLOT.y),
    lat: at(found, SLOT.lat),
    lng: at(found, SLOT.lng),
    battery_level: at(found, SLOT.battery_level),
  });
}

function at(found: Found, slot: number): number | null {
  const value = found[slot] as number;
  return Number.isNaN(value) ? null : value;
}

/** Half a position on the globe, or half a point on the map, is none. */
function withWholePositions(columns: HotColumns): HotColumns {
  if (columns.x === null || columns.y === null) {
    columns.x = null;
    columns.y = null;
  }
  if (columns.lat === null || columns.lng === null) {
    columns.lat = null;
    columns.lng = null;
  }
  return columns;
}

const STATUS = knownStatus();
const found: Found = new Float64Array(KNOWN_SLOTS);

/**
 * The typed columns of a status, which is the text of a JSON object. A key of the wrong kind or out of range leaves its
 * column empty and earns a warning.
 */
export function readKnown(json: string): { columns: HotColumns; warnings: Warning[] } {
  found.fill(Number.NaN);
  const end = scan(Buffer.from(json), 0, STATUS, found);
  return end === STOP ? judge(JSON.parse(json)) : { columns: foundColumns(found), warnings: [] };
}

function judge(status: Record<string, unknown>): { columns: HotColumns; warnings: Warning[] } {
  const parsed = KnownStatus.safeParse(status);
  if (parsed.success) return { columns: columnsOf(parsed.data), warnings: [] };
  const warnings = parsed.error.issues.map(({ path, message }) => ({
    field: path.join('.'),
    message,
  }));
  const usable: Record<string, unknown> = {};
  for (const [key, shape] of Object.entries(KnownStatus.shape)) {
    const part = shape.safeParse(status[key]);
    if (part.success) usable[key] = part.data;
  }
  const partial = KnownStatus.safeParse(usable);
  return { columns: columnsOf(partial.data ?? {}), warnings };
}

function columnsOf({ local_position, global_position, battery_level }: KnownStatus): HotColumns {
  return withWholePositions({
    x: local_position?.x ?? null,
    y: local_position?.y ?? null,
    lat: global_position?.latitude ?? null,
    lng: global_position?.longitude ?? null,
    battery_level: battery_level ?? null,
  });
}
