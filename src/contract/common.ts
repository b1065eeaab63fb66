import { z } from 'zod';
import { DEPTH_LIMIT, isDeeperThan } from '../lib/json-depth.js';

/** What no database can store as text: NUL, and halves of surrogate pairs. */
const UNSTORABLE = /[\0\p{Surrogate}]/gu;

/** Text that every database can store; what they cannot becomes U+FFFD, because a cut-off emoji is no reason to lose a line. */
export function plainText(maxLength: number) {
  return z
    .string()
    .max(maxLength)
    .overwrite((text) => text.replace(UNSTORABLE, '\ufffd'));
}

export const TOO_DEEP = `must not be nested deeper than ${DEPTH_LIMIT} levels`;

/**
 * Whether a JSON value can be written again wherever it is read: `JSON.stringify` overflows the stack on deep ones.
 * `json` is its text, if there is one: a short one cannot be deep, and is not looked through.
 */
export function isShallow(value: unknown, json?: string): boolean {
  const isShort = json !== undefined && json.length <= 2 * DEPTH_LIMIT;
  return isShort || !isDeeperThan(value, DEPTH_LIMIT);
}

/** A robot's id as its owner chose it: 1 to 128 characters, no control characters, no slash, no half of a surrogate pair. */
export const RobotId = z
  .string()
  .min(1)
  .max(128)
  .regex(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
    /^[^\u0000-\u001f\u007f/\ud800-\udfff]+$/u,
    'must not hold control characters or a slash',
  )
  .meta({ description: 'The id of the robot, chosen by its owner', example: 'robot_001' });

/** An instant on the wire: RFC 3339 in UTC with milliseconds. */
export const Instant = z
  .string()
  .meta({ format: 'date-time', example: '2026-01-25T12:00:00.000Z' });

/** Anything before 2001-09-09 as an integer is more likely seconds than milliseconds. */
const EARLIEST_MS = 1_000_000_000_000;
const LATEST_MS = 253_402_300_799_999;
/** The year 1: before the year 0 RFC 3339 has no form, and PostgreSQL has no year 0. */
const FIRST_MS = -62_135_596_800_000;
const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** Milliseconds since the epoch, or the sentence that says what is wrong with `value`. */
export function parseInstant(value: unknown): number | string {
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return 'must be an integer number of milliseconds';
    if (value < EARLIEST_MS) return 'must be milliseconds since the epoch; this looks like seconds';
    if (value > LATEST_MS) return 'must be milliseconds since the epoch; this is too large';
    return value;
  }
  if (typeof value !== 'string' || !RFC_3339.test(value)) {
    return 'must be RFC 3339 with an offset (2026-01-25T12:00:00.000Z) or integer milliseconds since the epoch';
  }
  const ms = Date.parse(value[10] === ' ' ? value.replace(' ', 'T') : value);
  const exists = ms >= FIRST_MS && ms <= LATEST_MS && dayExists(value);
  return exists ? ms : 'is not a date that exists';
}

/** `Date.parse` makes the 2nd of March of the 30th of February. */
function dayExists(date: string): boolean {
  const day = Number(date.slice(8, 10));
  const exists = day <= 28 || (day <= 30 && date.slice(5, 7) !== '02');
  return exists || new Date(date.slice(0, 10)).getUTCDate() === day;
}

/** An instant as a client may send it: RFC 3339 with any offset, or integer milliseconds. Parsed to milliseconds. */
export const InstantInput = z
  .union([z.string(), z.number()])
  .transform((value, ctx) => {
    const ms = parseInstant(value);
    if (typeof ms === 'number') return ms;
    ctx.addIssue({ code: 'custom', message: ms });
    return z.NEVER;
  })
  .meta({ description: 'RFC 3339 with any offset, or integer milliseconds since the epoch' });

/**
 * The same from a query string, where every value is text, nothing is written as an empty one, and the `+` of an offset
 * arrives as a space unless its sender encoded it.
 */
export const InstantQuery = z
  .string()
  .optional()
  .transform((value, ctx) => {
    if (value === undefined || value === '') return undefined;
    const text = value.replace(/ (?=\d{2}:\d{2}$)/, '+');
    const ms = parseInstant(/^\d+$/.test(text) ? Number(text) : text);
    if (typeof ms === 'number') return ms;
    ctx.addIssue({ code: 'custom', message: ms });
    return z.NEVER;
  })
  .meta({ description: 'RFC 3339 with any offset, or integer milliseconds since the epoch' });

let lastMs = Number.NaN;
let lastInstant = '';

export function toInstant(ms: number): string {
  // Under load many answers tell the same millisecond, and writing one costs a fiftieth of an answer.
  if (ms !== lastMs) {
    lastInstant = new Date(ms).toISOString();
    lastMs = ms;
  }
  return lastInstant;
}
