import { z } from 'zod';

/** A robot's id as its owner chose it: 1 to 128 characters, no control characters, no slash. */
export const RobotId = z
  .string()
  .min(1)
  .max(128)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
  .regex(/^[^\u0000-\u001f\u007f/]+$/, 'must not hold control characters or a slash')
  .meta({ description: 'The id of the robot, chosen by its owner', example: 'robot_001' });

/** An instant on the wire: RFC 3339 in UTC with milliseconds. */
export const Instant = z
  .string()
  .meta({ format: 'date-time', example: '2026-01-25T12:00:00.000Z' });

/** Anything before 2001-09-09 as an integer is more likely seconds than milliseconds. */
const EARLIEST_MS = 1_000_000_000_000;
const LATEST_MS = 253_402_300_799_999;
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
  const ms = Date.parse(value.replace(' ', 'T'));
  return Number.isNaN(ms) ? 'is not a date that exists' : ms;
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

/** The same from a query string, where every value is text. */
export const InstantQuery = z
  .string()
  .transform((value, ctx) => {
    const ms = parseInstant(/^\d+$/.test(value) ? Number(value) : value);
    if (typeof ms === 'number') return ms;
    ctx.addIssue({ code: 'custom', message: ms });
    return z.NEVER;
  })
  .meta({ description: 'RFC 3339 with any offset, or integer milliseconds since the epoch' });

export function toInstant(ms: number): string {
  return new Date(ms).toISOString();
}
