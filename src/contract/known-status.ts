import { isJsonObject } from '../lib/json-object.js';
import { KnownStatus, type Warning } from './status.js';

/** The keys of a status that have a column of their own; null where the status does not say. */
export interface HotColumns {
  x: number | null;
  y: number | null;
  lat: number | null;
  lng: number | null;
  battery_level: number | null;
}

/** The typed columns of a status. A key of the wrong kind or out of range leaves its column empty and earns a warning. */
export function readKnown(status: Record<string, unknown>): {
  columns: HotColumns;
  warnings: Warning[];
} {
  // Most statuses are in order, which is seen at a tenth of the cost of the schema; a test holds the two together.
  if (isKnownStatus(status)) return { columns: columnsOf(status), warnings: [] };
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

/** Half a position on the globe, or half a point on the map, is none. */
function columnsOf({ local_position, global_position, battery_level }: KnownStatus): HotColumns {
  const local = pair(local_position?.x, local_position?.y);
  const global = pair(global_position?.latitude, global_position?.longitude);
  return {
    x: local?.[0] ?? null,
    y: local?.[1] ?? null,
    lat: global?.[0] ?? null,
    lng: global?.[1] ?? null,
    battery_level: battery_level ?? null,
  };
}

type Maybe = number | null | undefined;
function pair(a: Maybe, b: Maybe): [number, number] | undefined {
  return a != null && b != null ? [a, b] : undefined;
}

function isKnownStatus(value: Record<string, unknown>): value is KnownStatus {
  const { status, mode, battery_level, global_position, local_position } = value;
  return (
    isText(status) &&
    isText(mode) &&
    isNumber(battery_level, 0, 100) &&
    isGlobalPosition(global_position) &&
    isLocalPosition(local_position) &&
    isSensorOverview(value.sensor_overview) &&
    isLaserScan(value.laser_scan)
  );
}

function isGlobalPosition(value: unknown): boolean {
  if (value == null) return true;
  if (!isJsonObject(value)) return false;
  const { latitude, longitude, altitude } = value;
  return isNumber(latitude, -90, 90) && isNumber(longitude, -180, 180) && isNumber(altitude);
}

function isLocalPosition(value: unknown): boolean {
  if (value == null) return true;
  if (!isJsonObject(value)) return false;
  return isNumber(value.x) && isNumber(value.y) && isNumber(value.z) && isNumber(value.yaw);
}

function isSensorOverview(value: unknown): boolean {
  if (value == null) return true;
  if (!Array.isArray(value)) return false;
  for (const sensor of value) {
    if (!isJsonObject(sensor)) return false;
    const { sensor_id, sensor_type, unit } = sensor;
    if (!isText(sensor_id) || !isText(sensor_type) || !isText(unit)) return false;
  }
  return true;
}

function isLaserScan(value: unknown): boolean {
  if (value == null) return true;
  if (!isJsonObject(value)) return false;
  const { ranges, angle_min, angle_max } = value;
  if (!isNumber(angle_min) || !isNumber(angle_max)) return false;
  if (ranges == null) return true;
  return Array.isArray(ranges) && ranges.every((range) => isNumber(range));
}

function isText(value: unknown): boolean {
  return value == null || typeof value === 'string';
}

function isNumber(
  value: unknown,
  minimum = -Number.MAX_VALUE,
  maximum = Number.MAX_VALUE,
): boolean {
  return value == null || (typeof value === 'number' && value >= minimum && value <= maximum);
}
