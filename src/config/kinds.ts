import { isIP } from 'node:net';
import { z } from 'zod';
import { parseDuration, parseSize } from './units.js';

/**
 * A kind of value: how it is read from a YAML value or from the text of a variable, and its unit in words.
 * The message of every issue says what would be right, so that a problem can end in "write <message>".
 */
export interface Kind<T> {
  schema: z.ZodType<T, unknown>;
  unit: string;
}

const BOOLEANS = new Map<unknown, boolean>([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);
const PROXY_NAMES = ['loopback', 'linklocal', 'uniquelocal'];

export function integer(min: number, max: number, unit = 'number'): Kind<number> {
  const error = `a whole number from ${min} to ${max}`;
  return { schema: wholeNumber(min, max, error), unit: `${unit}, ${min} to ${max}` };
}

/** Whole days; null and 0 both mean off. */
export function days(max: number): Kind<number | null> {
  const error = `a whole number of days from 1 to ${max}, or 0 for off`;
  const schema = wholeNumber(0, max, error).nullable();
  return { schema: schema.transform((value) => value || null), unit: `days, 0 to ${max}` };
}

export function boolean(): Kind<boolean> {
  const schema = z.preprocess(
    (raw) => BOOLEANS.get(raw) ?? raw,
    z.boolean({ error: 'true or false' }),
  );
  return { schema, unit: 'true or false' };
}

export function choice<const T extends readonly [string, ...string[]]>(
  ...values: T
): Kind<T[number]> {
  const inWords = `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
  return { schema: z.enum(values, { error: inWords }), unit: inWords };
}

export function text(wanted = 'text', pattern = /^/): Kind<string> {
  return {
    schema: z
      .string({ error: `${wanted} (a number or a word like true needs quotes)` })
      .regex(pattern, { error: wanted }),
    unit: 'text',
  };
}

/** `null` where the absence of a value means something of its own. */
export function optional<T>(kind: Kind<T>): Kind<T | null> {
  return { ...kind, schema: kind.schema.nullable() };
}

/** Milliseconds, written with a unit. `min` and `max` are durations too. */
export function duration(min: string, max: string): Kind<number> {
  const wanted = `a duration from ${min} to ${max} with its unit, such as 15s, 5m or 1h30m`;
  const minMs = parseDuration(min) ?? 0;
  const maxMs = parseDuration(max) ?? 0;
  const schema = z.unknown().transform((raw, context) => {
    const ms = typeof raw === 'string' ? parseDuration(raw) : undefined;
    if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
    const bare = /^\d+(\.\d+)?$/.test(String(raw));
    context.addIssue({
      code: 'custom',
      message: bare ? `${wanted} (a bare number has no unit)` : wanted,
    });
    return z.NEVER;
  });
  return { schema, unit: `duration, ${min} to ${max}` };
}

/** Bytes, written as a number or with KiB, MiB or GiB. `min` and `max` are sizes too. */
export function size(min: string, max: string): Kind<number> {
  const error = `a size from ${min} to ${max}: a number of bytes, or one such as 512KiB or 1MiB`;
  const schema = z.preprocess(
    (raw) => (typeof raw === 'string' ? (parseSize(raw) ?? raw) : raw),
    z
      .int({ error })
      .min(parseSize(min) ?? 0, { error })
      .max(parseSize(max) ?? 0, { error }),
  );
  return { schema, unit: `bytes, ${min} to ${max}` };
}

/** A YAML list, or text with commas. */
export function list(error: string, accepts: (item: string) => boolean): Kind<string[]> {
  const schema = z.preprocess(
    (raw) => (typeof raw === 'string' ? splitList(raw) : raw),
    z.array(z.string({ error }).refine(accepts, { error }), { error }),
  );
  return { schema, unit: 'list' };
}

/** What Fastify's `trustProxy` understands: an address, a range in CIDR form, or a name for one. */
export function isProxyRange(item: string): boolean {
  const [address = '', bits, ...rest] = item.split('/');
  const width = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  if (width === 0) return PROXY_NAMES.includes(item);
  return rest.length === 0 && (bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= width));
}

function splitList(raw: string): string[] {
  return raw
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function wholeNumber(min: number, max: number, error: string): z.ZodType<number, unknown> {
  return z.preprocess(
    (raw) => (typeof raw === 'string' && /^-?\d+$/.test(raw) ? Number(raw) : raw),
    z.int({ error }).min(min, { error }).max(max, { error }),
  );
}
