import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InstantInput, InstantQuery, parseInstant, toInstant } from '../../src/contract/common.js';

const NOON_MS = 1_769_342_400_000;

describe('instants', () => {
  it.each([
    ['2026-01-25T12:00:00Z', 0],
    ['2026-01-25T12:00:00.000Z', 0],
    ['2026-01-25t12:00:00z', 0],
    ['2026-01-25 12:00:00Z', 0],
    ['2026-01-25T20:00:00+08:00', 0],
    ['2026-01-25T06:30:00-05:30', 0],
    ['2026-01-25T12:00:00.5Z', 500],
    ['2026-01-25T12:00:00.123456789Z', 123],
    ['2026-01-25T12:00:00.999999Z', 999],
  ])('reads %s', (text, offset) => {
    expect(parseInstant(text)).toBe(NOON_MS + offset);
  });

  it('reads milliseconds as they are', () => {
    expect(parseInstant(NOON_MS)).toBe(NOON_MS);
    expect(parseInstant(253_402_300_799_999)).toBe(253_402_300_799_999);
  });

  it.each([
    ['2026-01-25T12:00:00', 'offset'],
    ['2026-01-25', 'offset'],
    ['yesterday', 'RFC 3339'],
    ['', 'RFC 3339'],
    [null, 'RFC 3339'],
    [{}, 'RFC 3339'],
    [true, 'RFC 3339'],
    ['2026-13-01T00:00:00Z', 'not a date that exists'],
    ['2026-02-30T00:00:00Z', 'not a date that exists'],
    ['2025-02-29T00:00:00Z', 'not a date that exists'],
    ['2026-04-31T00:00:00+01:00', 'not a date that exists'],
    ['0000-12-31T23:59:59Z', 'not a date that exists'],
    ['2026-01-25T25:00:00Z', 'not a date that exists'],
    ['2026-01-25T12:60:00Z', 'not a date that exists'],
    ['2026-01-25T12:00:00+99:00', 'not a date that exists'],
    [NOON_MS / 1_000, 'looks like seconds'],
    [NOON_MS + 0.5, 'integer'],
    [Number.NaN, 'integer'],
    [253_402_300_800_000, 'too large'],
  ])('refuses %s and says why', (value, reason) => {
    expect(parseInstant(value)).toEqual(expect.stringContaining(reason));
  });

  it('survive the way to the wire and back to the millisecond', () => {
    const day = fc.date({
      min: new Date(0),
      max: new Date('9999-12-31T23:59:59.999Z'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(day, (date) => {
        const text = toInstant(date.getTime());
        expect(text).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
        expect(parseInstant(text)).toBe(date.getTime());
      }),
    );
  });

  it('are taken as text and numbers in a body, and as text alone in a query', () => {
    expect(InstantInput.parse('2026-01-25T12:00:00Z')).toBe(NOON_MS);
    expect(InstantInput.parse(NOON_MS)).toBe(NOON_MS);
    expect(InstantInput.safeParse(String(NOON_MS)).success).toBe(false);
    expect(InstantQuery.parse('2026-01-25T12:00:00Z')).toBe(NOON_MS);
    expect(InstantQuery.parse(String(NOON_MS))).toBe(NOON_MS);
    expect(InstantQuery.safeParse('1769342400').error?.issues[0]?.message).toContain('seconds');
  });
});
