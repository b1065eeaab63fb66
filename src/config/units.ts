const DURATION_UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const SIZE_UNIT_BYTES: Record<string, number> = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/**
 * A Go duration (`15s`, `1h30m`, `20m0s`, `1.5h`, `500ms`) in whole milliseconds.
 * `undefined` when the text is none: a bare number has no unit, and nothing below a millisecond is meant here.
 */
export function parseDuration(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ms|s|m|h)/g)) {
    totalMs += Number(amount) * (DURATION_UNIT_MS[unit ?? ''] ?? 0);
  }
  return Math.round(totalMs);
}

/** `1048576`, `512KiB`, `1MiB` or `1GiB` in bytes; `undefined` when the text is none of these. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+) ?(KiB|MiB|GiB|)$/.exec(text);
  return match ? Number(match[1]) * (SIZE_UNIT_BYTES[match[2] ?? ''] ?? 1) : undefined;
}
