import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readInstant } from '../../src/db/adopt/instants.js';

describe('an instant of the original', () => {
  it.each([
    ['2026-01-25 12:00:00.123456789+08:00', '2026-01-25T04:00:00.123Z', 'text, +08:00'],
    ['2026-01-25 12:00:00+05:30', '2026-01-25T06:30:00.000Z', 'text, +05:30'],
    ['2026-01-25 12:00:00.9999999Z', '2026-01-25T12:00:00.999Z', 'text, Z'],
    ['2026-01-25T12:00:00Z', '2026-01-25T12:00:00.000Z', 'text, Z'],
    ['2026-01-25 12:00:00.1+00:00', '2026-01-25T12:00:00.100Z', 'text, +00:00'],
    ['2025-11-02 01:30:00-04:00', '2025-11-02T05:30:00.000Z', 'text, -04:00'],
    ['2025-11-02 01:30:00-05:00', '2025-11-02T06:30:00.000Z', 'text, -05:00'],
    ['1905-01-01 00:00:00+08:05:43', '1904-12-31T15:54:17.000Z', 'text, +08:05:43'],
    ['2026-01-25 12:00:00.1 +0800 CST m=+0.1', '2026-01-25T04:00:00.100Z', "Go's own text, +0800"],
    ['2026-01-25 12:00:00 +0530 +0530', '2026-01-25T06:30:00.000Z', "Go's own text, +0530"],
    ['2026-01-25 12:00:00', '2026-01-25T12:00:00.000Z', 'text without a zone, taken as UTC'],
    ['2026-01-25 12:00', '2026-01-25T12:00:00.000Z', 'text without a zone, taken as UTC'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z', 'text without a zone, taken as UTC'],
    ['1969-12-31 23:59:59.5+00:00', '1969-12-31T23:59:59.500Z', 'text, +00:00'],
    ['0001-01-01 00:00:00+00:00', '0001-01-01T00:00:00.000Z', 'text, +00:00'],
    [1_769_342_400, '2026-01-25T12:00:00.000Z', 'seconds since the epoch'],
    [1_769_342_400_123, '2026-01-25T12:00:00.123Z', 'milliseconds since the epoch'],
  ])('%s is %s', (value, iso, form) => {
    const instant = readInstant(value);
    expect([new Date(instant?.ms ?? Number.NaN).toISOString(), instant?.form]).toEqual([iso, form]);
  });

  it.each(
    [
      ['', 'now', '2026-02-30 00:00:00Z', '2025-02-29', '2026-13-01', '2026-01-25 24:00:00Z'],
      ['2026-01-25 12:60:00Z', '2026-01-25 12:00:61Z', '0000-12-31', '10000-01-01', 'infinity'],
      ['0001-01-01 00:00:00+08:00', '2026-01-25 12:00:00 CST', '2026-01-25 12:00:00+25:00'],
      [null, undefined, Number.NaN, Number.POSITIVE_INFINITY, 1e18, true, {}],
    ].flat(),
  )('%s is none', (value) => {
    expect(readInstant(value)).toBeUndefined();
  });

  it('is the same as it was, whatever the offset it is written in', () => {
    const span = {
      min: Date.parse('0002-01-01T00:00:00Z'),
      max: Date.parse('9998-12-31T00:00:00Z'),
    };
    fc.assert(
      fc.property(fc.integer(span), fc.integer({ min: -14 * 60, max: 14 * 60 }), (ms, minutes) => {
        const local = new Date(ms + minutes * 60_000).toISOString().slice(0, 23).replace('T', ' ');
        const [h, m] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
        const offset = `${minutes < 0 ? '-' : '+'}${String(h).padStart(2, '0')}:${String(m).padStart(2, '0')}`;
        expect(readInstant(`${local}987654${offset}`)?.ms).toBe(ms);
      }),
    );
  });
});
