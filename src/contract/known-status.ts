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
