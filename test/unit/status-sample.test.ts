import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readKnown } from '../../src/contract/known-status.js';
import { KnownStatus } from '../../src/contract/status.js';
import { DomainError } from '../../src/lib/errors.js';
import {
  batchSample,
  futureProblem,
  refuseWarnings,
  rowOf,
  sampleOf,
} from '../../src/services/status-sample.js';

const NOON_MS = 1_769_342_400_000;
const MINUTE_MS = 60_000;
const NOWHERE = { x: null, y: null, lat: null, lng: null, battery_level: null };
const ROBOT = { id: 'robot', account_id: 'owner' };
const known = (status: unknown) => readKnown(JSON.stringify(status));

describe('the typed columns of a status', () => {
  it('come from the documented keys', () => {
    const { columns, warnings } = known({
      status: 'active',
      mode: 'auto',
      battery_level: 85,
      global_position: { latitude: 25.033, longitude: 121.5654, altitude: 0 },
      local_position: { x: 10.5, y: 5.2, z: 0, yaw: 1.57 },
      sensor_overview: [{ sensor_id: 's', sensor_type: 't', value: 1, unit: 'C' }],
      laser_scan: { ranges: [1, null, 2], angle_min: -1, angle_max: 1 },
    });
    expect(columns).toEqual({ x: 10.5, y: 5.2, lat: 25.033, lng: 121.5654, battery_level: 85 });
    expect(warnings).toEqual([]);
  });

  it('are empty for what is not there, and zero is there', () => {
    expect(known({})).toEqual({ columns: NOWHERE, warnings: [] });
    expect(known({ battery_level: null, local_position: null }).columns).toEqual(NOWHERE);
    expect(known({ local_position: { x: 0, y: 0 }, battery_level: 0 }).columns).toEqual({
      ...NOWHERE,
      ...{ x: 0, y: 0, battery_level: 0 },
    });
  });

  it('hold whole positions alone', () => {
    const half = { local_position: { x: 1 }, global_position: { longitude: 2, latitude: null } };
    expect(known(half)).toEqual({ columns: NOWHERE, warnings: [] });
  });

  it.each([
    [{ battery_level: '85' }, ['battery_level']],
    [{ battery_level: 101 }, ['battery_level']],
    [{ battery_level: -1 }, ['battery_level']],
    [{ global_position: { latitude: 91, longitude: 1 } }, ['global_position.latitude']],
    [{ global_position: { latitude: 1, longitude: -181 } }, ['global_position.longitude']],
    [{ global_position: 'home' }, ['global_position']],
    [{ local_position: [1, 2] }, ['local_position']],
    [{ status: 1, mode: {} }, ['status', 'mode']],
    [{ sensor_overview: {} }, ['sensor_overview']],
    [{ sensor_overview: [{}, { unit: 1 }] }, ['sensor_overview.1.unit']],
    [{ laser_scan: { ranges: ['far'] } }, ['laser_scan.ranges.0']],
  ])('leave out what is not understood in %j, and name it', (status, fields) => {
    const { columns, warnings } = known(status);
    expect(columns).toEqual(NOWHERE);
    expect(warnings.map(({ field }) => field)).toEqual(fields);
    for (const { message } of warnings) expect(message).toMatch(/\w/);
  });

  it('keep what is right beside what is wrong', () => {
    const { columns, warnings } = known({
      battery_level: 'full',
      local_position: { x: 1, y: 2, yaw: 'north' },
      global_position: { latitude: 3, longitude: 4 },
    });
    expect(columns).toEqual({ ...NOWHERE, lat: 3, lng: 4 });
    expect(warnings.map(({ field }) => field)).toEqual(['battery_level', 'local_position.yaw']);
  });

  it('hold finite numbers in range or nothing, whatever a robot sends', () => {
    const anything = fc.jsonValue();
    const status = fc.record(
      {
        battery_level: anything,
        local_position: fc.oneof(anything, fc.record({ x: anything, y: anything })),
        global_position: fc.oneof(anything, fc.record({ latitude: anything, longitude: anything })),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(status, (sent) => {
        const { columns } = known(sent);
        for (const value of Object.values(columns)) {
          expect(value === null || Number.isFinite(value)).toBe(true);
        }
        expect(Math.abs(columns.lat ?? 0)).toBeLessThanOrEqual(90);
        expect(Math.abs(columns.lng ?? 0)).toBeLessThanOrEqual(180);
        expect(columns.battery_level ?? 0).toBeGreaterThanOrEqual(0);
        expect((columns.x === null) === (columns.y === null)).toBe(true);
        expect((columns.lat === null) === (columns.lng === null)).toBe(true);
      }),
    );
  });
});

describe('what is read of a status', () => {
  const number = fc.oneof(
    fc.double({ noNaN: true }),
    fc.integer({ min: -200, max: 200 }),
    fc.constantFrom(0, 90, 100, 180),
  );
  const maybe = (right: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 40, arbitrary: right }, fc.constantFrom(null, 'HUGE', '1', true, {}, []));
  const object = (members: Record<string, fc.Arbitrary<unknown>>) =>
    maybe(fc.record(members, { requiredKeys: [] }));
  const status = fc.record(
    {
      status: maybe(fc.string()),
      mode: maybe(fc.string()),
      battery_level: maybe(number),
      global_position: object({
        latitude: maybe(number),
        longitude: maybe(number),
        altitude: maybe(number),
      }),
      local_position: object({
        x: maybe(number),
        y: maybe(number),
        z: maybe(number),
        yaw: maybe(number),
      }),
      sensor_overview: maybe(
        fc.array(
          object({
            sensor_id: maybe(fc.string()),
            sensor_type: maybe(fc.string()),
            value: fc.jsonValue(),
            unit: maybe(fc.string()),
          }),
        ),
      ),
      laser_scan: object({
        ranges: maybe(fc.array(maybe(number))),
        angle_min: maybe(number),
        angle_max: maybe(number),
      }),
      more: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );

  it('is what the schema of the contract reads, with a warning exactly when that objects', () => {
    const found = { right: 0, wrong: 0 };
    fc.assert(
      fc.property(status, fc.nat(2), (sent, indent) => {
        const json = JSON.stringify(sent, null, indent).replaceAll('"HUGE"', '-1e999');
        const { success, data } = KnownStatus.safeParse(JSON.parse(json));
        const { columns, warnings } = readKnown(json);
        expect(warnings.length === 0).toBe(success);
        found[success ? 'right' : 'wrong'] += 1;
        if (success) expect(columns).toEqual(columnsOf(data));
      }),
      { numRuns: 1_000 },
    );
    expect(Math.min(found.right, found.wrong)).toBeGreaterThan(100);
  });

  it('is the last of keys that stand twice, however they are written', () => {
    const twice = '{"battery_level":1,"battery_level":2,"local_position":{"x":1,"y":2,"y":3}}';
    expect(readKnown(twice).columns).toEqual({ ...NOWHERE, battery_level: 2, x: 1, y: 3 });
    const escaped = '{"battery_level":1,"b\\u0061ttery_level":2}';
    expect(readKnown(escaped).columns).toEqual({ ...NOWHERE, battery_level: 2 });
  });
});

function columnsOf({ battery_level = null, local_position, global_position }: KnownStatus) {
  const { x = null, y = null } = local_position ?? {};
  const { latitude: lat = null, longitude: lng = null } = global_position ?? {};
  return {
    battery_level,
    ...(x === null || y === null ? { x: null, y: null } : { x, y }),
    ...(lat === null || lng === null ? { lat: null, lng: null } : { lat, lng }),
  };
}

describe('the row of a sample', () => {
  const idOf = (sample: Parameters<typeof sampleOf>[0]) =>
    rowOf(ROBOT, sampleOf(sample), NOON_MS).event_id;

  it('keeps the text as it was written', () => {
    const status_json = '{ "n": 1.0, "big": 12345678901234567890 }';
    const sample = sampleOf({ status_json });
    expect(rowOf(ROBOT, sample, NOON_MS)).toEqual({
      ...{ robot_id: 'robot', account_id: 'owner', status_json, event_id: null },
      ...{ timestamp: NOON_MS, received_at: NOON_MS, ...NOWHERE },
    });
  });

  it('has the robot’s time and the server’s', () => {
    const row = rowOf(ROBOT, sampleOf({ status_json: '{}', timestamp: NOON_MS - 5 }), NOON_MS);
    expect(row).toMatchObject({ timestamp: NOON_MS - 5, received_at: NOON_MS, status_json: '{}' });
  });

  it('is the same sample when time and content are the same, or the id', () => {
    const sample = { status_json: '{"n":1}', timestamp: NOON_MS };
    expect(idOf(sample)).toBe(idOf({ ...sample }));
    expect(idOf(sample)).toMatch(/^~.{22}$/);
    expect(idOf({ ...sample, timestamp: NOON_MS + 1 })).not.toBe(idOf(sample));
    expect(idOf({ ...sample, status_json: '{"n":2}' })).not.toBe(idOf(sample));
    expect(idOf({ ...sample, event_id: 'mine' })).toBe('mine');
    expect(idOf({ status_json: '{"n":1}' })).toBeNull();
  });
});

describe('one item of a batch', () => {
  const at = '2026-01-25T12:00:00Z';

  it('is a sample with its own time', () => {
    expect(batchSample({ status: { n: 1 }, timestamp: at, event_id: 'e' })).toEqual(
      sampleOf({ status_json: '{"n":1}', timestamp: NOON_MS, event_id: 'e' }),
    );
    expect(batchSample({ status: {}, timestamp: NOON_MS, more: 1 })).toEqual(
      sampleOf({ status_json: '{}', timestamp: NOON_MS }),
    );
  });

  it.each([
    [null, 'must be an object'],
    [[], 'must be an object'],
    ['text', 'must be an object'],
    [{ timestamp: at }, 'status: must be a JSON object'],
    [{ status: [], timestamp: at }, 'status: must be a JSON object'],
    [{ status: {} }, 'timestamp: is required'],
    [{ status: {}, timestamp: 'now' }, 'timestamp: must be RFC 3339'],
    [{ status: {}, timestamp: at, event_id: 7 }, 'event_id: must be'],
    [{ status: {}, timestamp: at, event_id: '' }, 'event_id: must be'],
    [{ status: {}, timestamp: at, event_id: 'x'.repeat(129) }, 'event_id: must be'],
  ])('is refused when it is %j', (item, reason) => {
    expect(batchSample(item)).toEqual(expect.stringContaining(reason));
  });

  it('may run five minutes ahead and not a millisecond more', () => {
    expect(futureProblem(NOON_MS + 5 * MINUTE_MS, NOON_MS)).toBeUndefined();
    expect(futureProblem(NOON_MS + 5 * MINUTE_MS + 1, NOON_MS)).toContain('clock');
    expect(futureProblem(0, NOON_MS)).toBeUndefined();
  });
});

describe('strict mode', () => {
  it('names every field that was not understood', () => {
    expect(() => refuseWarnings([])).not.toThrow();
    const { warnings } = known({ battery_level: '85', mode: 1 });
    expect(() => refuseWarnings(warnings)).toThrow(DomainError);
    expect(() => refuseWarnings(warnings)).toThrow(/^mode: .*; battery_level: /);
  });
});
