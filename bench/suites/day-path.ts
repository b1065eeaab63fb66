import type { FilledDatabase } from '../lib/filled-database.js';

/** A million rows, and enough for the one robot's day in a quick run. */
export function rowsToFill(quick: boolean): number {
  return quick ? 120_000 : 1_000_000;
}

export function dayPath(filled: FilledDatabase, maxPoints?: number): string {
  const query = new URLSearchParams({
    start: new Date(filled.start_ms).toISOString(),
    end: new Date(filled.end_ms).toISOString(),
  });
  if (maxPoints !== undefined) query.set('max_points', String(maxPoints));
  return `/api/v1/robots/${filled.day_robot_id}/trajectory?${query}`;
}
