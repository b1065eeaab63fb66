/** Deeper than anything a robot means to say, and shallow enough for every parser and writer on the way. */
export const DEPTH_LIMIT = 500;

/** Whether objects and arrays lie in each other more than `levels` deep. `value` comes from JSON, so it has no cycles. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) {
    for (const element of value) if (isDeeperThan(element, levels - 1)) return true;
    return false;
  }
  for (const key in value) {
    if (isDeeperThan((value as Record<string, unknown>)[key], levels - 1)) return true;
  }
  return false;
}
