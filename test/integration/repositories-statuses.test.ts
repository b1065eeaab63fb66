import fc from 'fast-check';
import { CompiledQuery, type KyselyPlugin } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Db } from '../../src/db/client.js';
import {
  hasMorePositions,
  historyPage,
  type JsonPage,
  latestStatuses,
  newestStatuses,
  type StatusCursor,
  type StatusRange,
  sampledTrajectory,
  trajectoryPage,
} from '../../src/db/repositories/statuses.js';
import { describeEachDatabase } from '../support/databases.js';
import { NOON_MS, type StatusRowInput, useFleetDatabase } from '../support/fleet-database.js';

const DAY_MS = 86_400_000;
const YEAR_2100_MS = Date.UTC(2100, 11, 31, 23, 59, 59, 999);
const ALL: StatusRange = {
  account_id: 'owner',
  robot_id: 'robot',
  start: Number.MIN_SAFE_INTEGER,
  end: Number.MAX_SAFE_INTEGER,
};

type Page = (db: Db, range: StatusRange, limit: number, cursor?: StatusCursor) => Promise<JsonPage>;

async function everyPage(page: Page, db: Db, range: StatusRange, limit: number) {
  const counts: number[] = [];
  const elements: Record<string, unknown>[] = [];
  let cursor: StatusCursor | undefined;
  do {
    const { count, elements: json, next } = await page(db, range, limit, cursor);
    const parsed = JSON.parse(`[${json}]`);
    expect(parsed).toHaveLength(count);
    counts.push(count);
    elements.push(...parsed);
    // A cursor that does not move would go on for ever.
    expect(next).not.toEqual(cursor);
    cursor = next ?? undefined;
  } while (cursor);
  return { counts, elements };
}

const iso = (ms: number) => new Date(ms).toISOString();
const pointOf = ({
  x = null,
  y = null,
  lat = null,
  lng = null,
  timestamp,
}: Partial<StatusRowInput>) => ({
  x,
  y,
  lat,
  lng,
  timestamp: iso(timestamp ?? NOON_MS),
});

describeEachDatabase('the repository of statuses', (kind) => {
  const fleet = useFleetDatabase(kind);
  const db = () => fleet().handle.db;

  beforeEach(async () => {
    await db().deleteFrom('robots').execute();
    await db().deleteFrom('accounts').execute();
    await fleet().addAccount('owner');
    await fleet().addAccount('other');
    await fleet().addRobot('owner', 'robot');
  });

  it('finds the newest of each robot by recorded time, of equal ones the last stored', async () => {
    for (const id of ['late', 'tie', 'silent']) await fleet().addRobot('other', id);
    await fleet().addStatuses([
      { status_json: '{"n":1}' },
      { status_json: '{"n":2}', timestamp: NOON_MS + 1 },
      { robot_id: 'late', account_id: 'other', status_json: '{"n":3}', timestamp: NOON_MS + 5 },
      { robot_id: 'late', account_id: 'other', status_json: '{"n":4}', timestamp: NOON_MS },
      { robot_id: 'tie', account_id: 'other', status_json: '{"n":5}' },
      { robot_id: 'tie', account_id: 'other', status_json: '{"n":6}' },
    ]);
    const newest = await latestStatuses(db());
    expect(
      Object.fromEntries(newest.map(({ robot_id, status_json }) => [robot_id, status_json])),
    ).toEqual({ robot: '{"n":2}', late: '{"n":3}', tie: '{"n":6}' });
    expect(newest.find(({ robot_id }) => robot_id === 'robot')).toEqual({
      ...{ id: expect.any(Number), robot_id: 'robot', account_id: 'owner', event_id: null },
      ...{ status_json: '{"n":2}', timestamp: NOON_MS + 1, received_at: NOON_MS },
      ...{ x: null, y: null, lat: null, lng: null, battery_level: null },
    });
  });

  describe('in pages', () => {
    /** 40 statuses in 8 instants, not stored in their order. */
    async function addCrowd(): Promise<Partial<StatusRowInput>[]> {
      const rows = Array.from({ length: 40 }, (_, n) => ({
        status_json: `{"n":${n}}`,
        timestamp: NOON_MS + ((n * 7) % 8),
        x: n,
        y: 100 - n,
      }));
      await fleet().addStatuses(rows);
      return rows.sort((a, b) => a.timestamp - b.timestamp || a.x - b.x);
    }

    it.each([1, 3, 5, 7, 39, 40, 41])(
      'of %i, loses nothing and gives nothing twice',
      async (limit) => {
        const rows = await addCrowd();
        const history = await everyPage(historyPage, db(), ALL, limit);
        expect(history.elements.map(({ status_json }) => status_json)).toEqual(
          rows.map(({ status_json }) => status_json),
        );
        expect(history.counts.slice(0, -1).every((count) => count === limit)).toBe(true);
        const track = await everyPage(trajectoryPage, db(), ALL, limit);
        expect(track.elements).toEqual(rows.map(pointOf));

        const newest: string[] = [];
        let cursor: StatusCursor | undefined;
        for (;;) {
          const page = await newestStatuses(db(), ALL, limit, cursor);
          if (page.length === 0) break;
          newest.push(...page.map(({ status_json }) => status_json));
          expect(newest.length).toBeLessThanOrEqual(rows.length);
          cursor = page.at(-1);
        }
        expect(newest).toEqual(rows.map(({ status_json }) => status_json).reverse());
      },
    );

    it('counts both ends of the range in', async () => {
      const rows = await addCrowd();
      const range = { ...ALL, start: NOON_MS + 2, end: NOON_MS + 4 };
      const inside = rows.filter(
        ({ timestamp = 0 }) => timestamp >= range.start && timestamp <= range.end,
      );
      expect((await everyPage(historyPage, db(), range, 4)).elements).toHaveLength(inside.length);
      expect((await everyPage(trajectoryPage, db(), range, 4)).elements).toEqual(
        inside.map(pointOf),
      );
      expect(await newestStatuses(db(), range, 100)).toHaveLength(inside.length);
      const instant = { ...ALL, start: NOON_MS + 3, end: NOON_MS + 3 };
      expect((await historyPage(db(), instant, 100)).count).toBe(5);
      const nothing = { ...ALL, start: NOON_MS + 100 };
      expect(await historyPage(db(), nothing, 10)).toEqual({ count: 0, elements: '', next: null });
      expect(await trajectoryPage(db(), nothing, 10)).toEqual({
        count: 0,
        elements: '',
        next: null,
      });
    });

    it('shows nothing to another account, whatever id it asks for', async () => {
      await addCrowd();
      const foreign = { ...ALL, account_id: 'other' };
      expect((await historyPage(db(), foreign, 10)).count).toBe(0);
      expect((await trajectoryPage(db(), foreign, 10)).count).toBe(0);
      expect((await sampledTrajectory(db(), foreign, 10)).count).toBe(0);
      expect(await newestStatuses(db(), foreign, 10)).toEqual([]);
      expect(await hasMorePositions(db(), foreign, 0)).toBe(false);
    });
  });

  it('makes history rows in the words of the wire', async () => {
    const status_json =
      '{"big":12345678901234567890,"one":1.0,"text":"ü \\"\\\\ \\u0000 \\n \u2028"}';
    const [verdict] = await fleet().addStatuses([{ status_json, timestamp: NOON_MS + 7 }]);
    const { elements } = await everyPage(historyPage, db(), ALL, 10);
    expect(elements).toEqual([
      {
        ...{ id: verdict?.outcome === 'stored' && verdict.id, robot_id: 'robot' },
        ...{ account_id: 'owner', status_json },
        ...{ timestamp: '2026-01-25T12:00:00.007Z', received_at: '2026-01-25T12:00:00.000Z' },
      },
    ]);
  });

  it('leaves out of a trajectory what has no position, and keeps halves', async () => {
    const rows = [
      { x: 1, y: 2, lat: 3, lng: 4 },
      { x: 1, y: 2 },
      { lat: 3, lng: 4 },
      { battery_level: 5 },
      { x: 0, y: 0, lat: 0, lng: 0 },
    ].map((row, n) => ({ ...row, timestamp: NOON_MS + n }));
    await fleet().addStatuses(rows);
    const positions = rows.filter((_, n) => n !== 3).map(pointOf);
    expect((await everyPage(trajectoryPage, db(), ALL, 2)).elements).toEqual(positions);
    expect((await everyPage(sampledPage(100), db(), ALL, 100)).elements).toEqual(positions);
    expect(await hasMorePositions(db(), ALL, 3)).toBe(true);
    expect(await hasMorePositions(db(), ALL, 4)).toBe(false);
  });

  it('looks for positions a page of rows at a time, also where there are none', async () => {
    const blind = Array.from({ length: 7 }, (_, n) => ({ timestamp: NOON_MS + n }));
    await fleet().addStatuses(blind);
    const page = await trajectoryPage(db(), ALL, 3);
    expect(page).toMatchObject({ count: 0, elements: '', next: { timestamp: NOON_MS + 2 } });
    expect(await everyPage(trajectoryPage, db(), ALL, 3)).toEqual({
      ...{ elements: [], counts: [0, 0, 0] },
    });
    expect(await hasMorePositions(db(), ALL, 0)).toBe(false);
    await fleet().addStatuses([{ timestamp: NOON_MS + 8, x: 1, y: 2 }]);
    expect((await everyPage(trajectoryPage, db(), ALL, 3)).elements).toHaveLength(1);
    expect(await hasMorePositions(db(), ALL, 0)).toBe(true);
    expect(await hasMorePositions(db(), ALL, 1)).toBe(false);
  });

  it('makes the same JSON of any number and any instant as JavaScript would', async () => {
    const real = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.double({ min: -180, max: 180, noNaN: true }),
      fc.integer(),
      fc.constantFrom(
        0,
        -0,
        0.1,
        0.2 + 0.1,
        1e-7,
        1e21,
        -1e21,
        5e-324,
        2 ** 53,
        1.7976931348623157e308,
      ),
    );
    const timestamp = fc.oneof(
      fc.integer({ min: 0, max: YEAR_2100_MS }),
      // The last and first milliseconds of seconds, minutes, and years.
      fc
        .tuple(fc.integer({ min: 1, max: 4_133_980_799 }), fc.constantFrom(-1, 0, 1, 499, 500, 999))
        .map(([seconds, ms]) => seconds * 1_000 + ms),
      fc.constantFrom(
        -62_135_596_800_000,
        -62_135_596_799_999,
        253_402_300_799_999,
        -1,
        -999,
        0,
        1,
        999,
        1_000,
        YEAR_2100_MS,
        Date.UTC(1999, 11, 31, 23, 59, 59, 999),
      ),
    );
    const row = fc.record({ x: real, y: real, lat: real, lng: real, timestamp });
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 400, size: 'max' }),
        async (rows) => {
          await db().deleteFrom('robot_statuses').execute();
          await fleet().addStatuses(rows);
          const { elements } = await everyPage(trajectoryPage, db(), ALL, 1_000);
          const expected = rows
            .map((row, n) => ({ row, n }))
            .sort((a, b) => a.row.timestamp - b.row.timestamp || a.n - b.n)
            // The way through JSON makes 0 of -0; a database may keep the sign, which means the same.
            .map(({ row }) => JSON.parse(JSON.stringify(pointOf(row))));
          expect(elements.map((point) => JSON.parse(JSON.stringify(point)))).toEqual(expected);
        },
      ),
      { numRuns: 8 },
    );
  });

  describe('sampled', () => {
    const positions = (timestamps: number[]) =>
      timestamps.map((timestamp, n) => ({ timestamp, x: n, y: 0 }));
    const sampled = async (range: StatusRange, maxPoints: number) => {
      const { count, elements, next } = await sampledTrajectory(db(), range, maxPoints);
      const path = JSON.parse(`[${elements}]`) as { x: number; timestamp: string }[];
      expect(path).toHaveLength(count);
      expect(next).toBeNull();
      return path;
    };

    it('is the first position of each slice of time, from the first to the last one', async () => {
      // One a second for 1,000 s: ten slices of 100 s.
      await fleet().addStatuses(
        positions(Array.from({ length: 1_000 }, (_, n) => NOON_MS + n * 1_000)),
      );
      const path = await sampled(ALL, 10);
      expect(path.map(({ x }) => x)).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
      expect(path[1]?.timestamp).toBe(iso(NOON_MS + 100_000));
    });

    it('is never longer than asked, covers the whole range, and goes forward', async () => {
      const timestamps = fc.array(fc.integer({ min: 0, max: 100_000 }), {
        minLength: 1,
        maxLength: 300,
        size: 'max',
      });
      await fc.assert(
        fc.asyncProperty(
          timestamps,
          fc.integer({ min: 2, max: 60 }),
          async (offsets, maxPoints) => {
            await db().deleteFrom('robot_statuses').execute();
            const rows = positions(offsets.map((offset) => NOON_MS + offset));
            await fleet().addStatuses(rows);
            const times = rows.map((row) => row.timestamp).sort((a, b) => a - b);
            const first = times[0]!;
            const span = times.at(-1)! + 1 - first;
            const slice = Math.ceil(span / maxPoints);
            const firstOfSlice = new Map<number, number>();
            for (const time of times) {
              const n = Math.floor((time - first) / slice);
              if (!firstOfSlice.has(n)) firstOfSlice.set(n, time);
            }
            const path = await sampled(ALL, maxPoints);
            expect(path.length).toBeLessThanOrEqual(maxPoints);
            expect(path.map(({ timestamp }) => timestamp)).toEqual(
              [...firstOfSlice.values()].map(iso),
            );
          },
        ),
        { numRuns: 15 },
      );
    });

    it('works over days, months and a century', async () => {
      for (const spanMs of [DAY_MS, 400 * DAY_MS, 36_500 * DAY_MS]) {
        await db().deleteFrom('robot_statuses').execute();
        const stepMs = spanMs / 2_000;
        await fleet().addStatuses(
          positions(Array.from({ length: 2_001 }, (_, n) => Math.round(n * stepMs))),
        );
        const path = await sampled(ALL, 1_000);
        expect(path.length).toBeGreaterThan(990);
        expect(path.length).toBeLessThanOrEqual(1_000);
        expect(path[0]?.timestamp).toBe(iso(0));
      }
    });
  });

  describe('asks an index', () => {
    /** The query plans of everything that `work` reads. */
    async function plansOf(work: (watched: Db) => Promise<unknown>): Promise<string> {
      const compiled = new WeakMap<object, CompiledQuery>();
      const queries: CompiledQuery[] = [];
      const plugin: KyselyPlugin = {
        transformQuery({ node, queryId }) {
          compiled.set(queryId, db().getExecutor().compileQuery(node, queryId));
          return node;
        },
        // Parts of queries are seen above as well; only whole ones have results.
        async transformResult({ result, queryId }) {
          const query = compiled.get(queryId);
          if (query) queries.push(query);
          return result;
        },
      };
      await work(db().withPlugin(plugin));
      const prefix = kind.dialect === 'sqlite' ? 'explain query plan ' : 'explain ';
      const plans: string[] = [];
      for (const query of queries) {
        const { rows } = await db().executeQuery<Record<string, unknown>>(
          CompiledQuery.raw(prefix + query.sql, [...query.parameters]),
        );
        plans.push(...rows.map((row) => String(row.detail ?? row['QUERY PLAN'])));
      }
      return plans.join('\n');
    }
    const FULL_SCAN = /SCAN (robot_statuses|newest|s)\b|Seq Scan on robot_statuses/;

    beforeEach(async () => {
      for (let n = 0; n < 20; n += 1) await fleet().addRobot('owner', `robot ${n}`);
      await fleet().addStatuses(
        Array.from({ length: 10_000 }, (_, n) => ({
          robot_id: `robot ${n % 20}`,
          timestamp: NOON_MS + n,
          x: n,
          y: n,
        })),
      );
      await db().executeQuery(CompiledQuery.raw('analyze'));
    });
    const range = { ...ALL, robot_id: 'robot 7', start: NOON_MS, end: NOON_MS + DAY_MS };
    const cursor = { timestamp: NOON_MS + 500, id: 500 };

    it('alone for a trajectory', async () => {
      const plan = await plansOf(async (watched) => {
        await trajectoryPage(watched, range, 100);
        await trajectoryPage(watched, range, 100, cursor);
        await hasMorePositions(watched, range, 100);
      });
      expect(plan).not.toMatch(FULL_SCAN);
      if (kind.dialect === 'sqlite') {
        const reads = plan.match(/SEARCH robot_statuses .*/g) ?? [];
        expect(reads).toHaveLength(3);
        for (const read of reads) expect(read).toContain('COVERING INDEX robot_statuses_track');
        expect(plan).not.toContain('TEMP B-TREE');
      } else {
        expect(plan).toContain('robot_statuses_track');
      }
    });

    it('for the history, the newest, a sample, and the latest of all', async () => {
      const plan = await plansOf(async (watched) => {
        await historyPage(watched, range, 100);
        await historyPage(watched, range, 100, cursor);
        await newestStatuses(watched, range, 100);
        await newestStatuses(watched, range, 100, cursor);
        await sampledTrajectory(watched, range, 10);
        await latestStatuses(watched);
      });
      expect(plan).toContain('robot_statuses_track');
      expect(plan).not.toMatch(FULL_SCAN);
    });
  });
});

/** A sample as if it came in pages: it is always one. */
function sampledPage(maxPoints: number): Page {
  return (db, range) => sampledTrajectory(db, range, maxPoints);
}
