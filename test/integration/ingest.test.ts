import fc from 'fast-check';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/db/client.js';
import { createLogger } from '../../src/lib/logger.js';
import { createIngest, type IngestDeps } from '../../src/services/ingest.js';
import { startApp, type TestApp } from '../support/app.js';
import { describeEachDatabase, type TestDatabase } from '../support/databases.js';
import { logRow, NOON_MS, statusRow, useFleetDatabase } from '../support/fleet-database.js';
import { createStoppedClock } from '../support/identity.js';
import { until } from '../support/until.js';

const MINUTE_MS = 60_000;
const at = (ms: number) => new Date(ms).toISOString();

describeEachDatabase('group commit', (kind) => {
  const fleet = useFleetDatabase(kind);
  const stored = async () =>
    (
      await fleet()
        .handle.db.selectFrom('robot_statuses')
        .select('status_json')
        .orderBy('id')
        .execute()
    ).map(({ status_json }) => status_json);

  async function start(robotId: string, onStored?: IngestDeps['onStored']) {
    const { handle, addAccount, addRobot } = fleet();
    await handle.db.deleteFrom('robots').execute();
    await handle.db.deleteFrom('accounts').execute();
    await addRobot(await addAccount('owner'), robotId);
    const commits: number[] = [];
    const ingest = createIngest({
      writer: handle.ingest,
      limitRows: 100_000,
      log: createLogger('silent', { write: () => {} }),
      onCommit: (rows) => commits.push(rows),
      ...(onStored && { onStored }),
    });
    return { ingest, commits, db: handle.db };
  }

  it('stores a crowd of single rows in few commits, and answers each after its own', async () => {
    const { ingest, commits, db } = await start('robot');
    const ids = await Promise.all(
      Array.from({ length: 2_000 }, async (_, n) => {
        const [verdict] = await ingest.push([statusRow({ status_json: String(n) })]);
        if (verdict?.outcome !== 'stored') throw new Error(`row ${n}: ${verdict?.outcome}`);
        if (n % 250 > 0) return verdict.id;
        // Another connection sees it: it is committed.
        const row = await db
          .selectFrom('robot_statuses')
          .select('status_json')
          .where('id', '=', verdict.id);
        expect(await row.executeTakeFirst()).toEqual({ status_json: String(n) });
        return verdict.id;
      }),
    );
    expect(commits.reduce((sum, rows) => sum + rows)).toBe(2_000);
    expect(commits.length).toBeLessThan(20);
    const found = await db.selectFrom('robot_statuses').select(['id', 'status_json']).execute();
    const texts = new Map(found.map(({ id, status_json }) => [id, status_json]));
    expect(ids.map((id) => texts.get(id))).toEqual(ids.map((_, n) => String(n)));
    expect([...ids].sort((a, b) => a - b)).toEqual(ids);
  });

  it('tells of logs in the order of their ids, also beside a crowd of statuses', async () => {
    const told: number[] = [];
    const { ingest } = await start('robot', (rows, verdicts) => {
      for (const [at, verdict] of verdicts.entries()) {
        if (rows[at]?.kind === 'log' && verdict.outcome === 'stored') told.push(verdict.id);
      }
    });
    await Promise.all(
      Array.from({ length: 1_000 }, (_, n) =>
        ingest.push(n % 3 === 0 ? [logRow({ message: `${n}` })] : [statusRow({}), logRow({})]),
      ),
    );
    expect(told).toHaveLength(1_000);
    expect([...told].sort((a, b) => a - b)).toEqual(told);
  });

  it('stores the same samples once when they come twice at once, the other way round', async () => {
    const { ingest } = await start('robot');
    const rows = Array.from({ length: 400 }, (_, n) => statusRow({ event_id: `e${n}` }));
    const verdicts = await Promise.all(
      Array.from({ length: 6 }, (_, n) => ingest.push(n % 2 === 0 ? rows : rows.toReversed())),
    );
    const outcomes = verdicts.flat().map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(400);
    expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(2_000);
  });

  it('stores them once also when they come to two servers, and none waits for the other for ever', async () => {
    const { db } = await start('robot');
    const other = await openDatabase(fleet().database.config);
    onTestFinished(() => other.close());
    const writers = [fleet().handle.ingest, other.ingest] as const;
    for (let round = 0; round < 20; round += 1) {
      const rows = Array.from({ length: 500 }, (_, n) =>
        n % 5 === 0
          ? logRow({ event_id: `${round}-${n}` })
          : statusRow({ event_id: `${round}-${n}` }),
      );
      const verdicts = await Promise.all([
        writers[0].write(rows),
        writers[1].write(rows.toReversed()),
      ]);
      const outcomes = verdicts.flat().map(({ outcome }) => outcome);
      expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(500);
      expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(500);
    }
    const { count } = await db
      .selectFrom('robot_statuses')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    expect(count).toBe(20 * 400);
  });

  it('shows a group as a whole or not at all', async () => {
    const { ingest } = await start('robot');
    const seen = new Set<number>();
    let isStored = false;
    const rows = Array.from({ length: 1_000 }, (_, n) => statusRow({ status_json: `${n}` }));
    const pushed = ingest.push(rows).then(() => {
      isStored = true;
    });
    while (!isStored) seen.add((await stored()).length);
    await pushed;
    seen.add((await stored()).length);
    expect([...seen].filter((count) => count !== 0)).toEqual([1_000]);
  });

  it('lets a bad row fail alone, in one call and among many', async () => {
    const { ingest } = await start('robot');
    const verdicts = await Promise.all([
      ingest.push([
        statusRow({ status_json: '1' }),
        statusRow({ status_json: '2', robot_id: 'gone' }),
        logRow({ robot_id: 'gone' }),
        logRow({ message: 'here' }),
        statusRow({ status_json: null as unknown as string }),
        statusRow({ status_json: '3' }),
      ]),
      ingest.push([statusRow({ status_json: '4' })]),
    ]);
    expect(verdicts.flat().map(({ outcome }) => outcome)).toEqual([
      ...['stored', 'gone', 'gone', 'stored', 'refused', 'stored'],
      'stored',
    ]);
    expect(await stored()).toEqual(['1', '3', '4']);
  });

  it('tells statuses and logs apart and keeps the order of the call', async () => {
    const { ingest, db } = await start('robot');
    const rows = Array.from({ length: 10 }, (_, n) =>
      n % 2 === 0 ? statusRow({ status_json: `${n}` }) : logRow({ message: `${n}` }),
    );
    const verdicts = await ingest.push(rows);
    for (const [n, verdict] of verdicts.entries()) {
      if (verdict.outcome !== 'stored') throw new Error(`row ${n}: ${verdict.outcome}`);
      const table = n % 2 === 0 ? 'robot_statuses' : 'robot_logs';
      const { rows: found } = await sql<{ text: string }>`
        select ${sql.ref(n % 2 === 0 ? 'status_json' : 'message')} as text
        from ${sql.table(table)} where id = ${verdict.id}`.execute(db);
      expect(found).toEqual([{ text: `${n}` }]);
    }
  });

  it('knows a repeat by its event id, within one group and after, for each robot by itself', async () => {
    const { ingest } = await start('robot');
    await fleet().addRobot('owner', 'twin');
    const row = statusRow({ status_json: '1', event_id: 'e' });
    const repeat = statusRow({ status_json: 'other', event_id: 'e' });
    const twin = statusRow({ status_json: '2', event_id: 'e', robot_id: 'twin' });
    const anonymous = statusRow({ status_json: '3' });
    const outcomes = (await ingest.push([row, repeat, twin, anonymous, anonymous])).map(
      ({ outcome }) => outcome,
    );
    expect(outcomes).toEqual(['stored', 'duplicate', 'stored', 'stored', 'stored']);
    const again = await Promise.all([ingest.push([repeat]), ingest.push([twin])]);
    expect(again.flat()).toEqual([{ outcome: 'duplicate' }, { outcome: 'duplicate' }]);
    expect(await stored()).toEqual(['1', '2', '3', '3']);
  });

  it.each([
    ['with', (n: number) => `n${n}`],
    ['without', () => null],
  ])('keeps any text and any number as they are, %s event ids', async (_name, eventId) => {
    const { ingest, db } = await start('robot');
    await fleet().addRobot('owner', '\\N');
    const character = fc.oneof(
      fc.constantFrom(
        '\\',
        '\t',
        '\n',
        '\r',
        '\\N',
        '\\.',
        '\b\f\v',
        '"',
        "'",
        ',',
        '\u2028',
        '🤖',
      ),
      fc.string({ unit: 'grapheme', maxLength: 3 }).filter((text) => !text.includes('\0')),
    );
    const texts = [
      '\\N',
      '\\.',
      '',
      '{"a":"\\u0000 \\ud800 \' \\" \\\\ ü 🤖"}',
      '{\r\n\t"spaced" : 1.0\n}',
      `{"long":"${'x'.repeat(300_000)}"}`,
      ...fc.sample(fc.string({ unit: character, maxLength: 20 }), 300),
    ];
    const numbers = [0.1, 1e-7, 1e21, 5e-324, 1.7976931348623157e308, -12.345678901234567, null];
    const rows = texts.map((status_json, n) =>
      statusRow({
        ...{ status_json, event_id: eventId(n), timestamp: NOON_MS + n },
        x: numbers[n % numbers.length] ?? null,
      }),
    );
    rows.push(statusRow({ robot_id: '\\N', timestamp: NOON_MS + rows.length }));
    // One by one: what one of them breaks must not send the others another way.
    for (const row of rows) await ingest.push([row]);
    const found = await db.selectFrom('robot_statuses').selectAll().orderBy('timestamp').execute();
    expect(found.map(({ id, ...row }) => row)).toEqual(rows.map(({ row }) => row));
  });
});

describeEachDatabase('statuses over REST', (kind) => {
  async function start(options: Parameters<typeof startApp>[1] = {}, over?: TestDatabase) {
    const clock = createStoppedClock();
    const app = await startApp(over ?? kind, { clock, ...options });
    const robot = { robot_id: 'robot', robot_type: 'mobile_robot' };
    expect((await app.call('POST', '/api/v1/robots', robot)).status).toBe(200);
    return {
      ...app,
      clock,
      push: (body: unknown) => app.call('POST', '/api/v1/robots/robot/status', body),
      batch: (samples: unknown) =>
        app.call('POST', '/api/v1/robots/robot/status/batch', { samples }),
      latest: async () => (await app.call('GET', '/api/v1/robots/robot/status')).json.data,
      history: async () => historyOf(app),
    };
  }
  async function historyOf(app: TestApp, robotId = 'robot') {
    const range = `start=${at(0)}&end=${at(NOON_MS + 60 * MINUTE_MS)}`;
    const answer = await app.call('GET', `/api/v1/robots/${robotId}/history?${range}`);
    return answer.json.data.history as { status_json: string; timestamp: string }[];
  }

  it('are stored with both times, and are there at once', async () => {
    const { push, latest, history, clock } = await start();
    const answer = await push({ status: { mode: 'auto' } });
    expect(answer.json).toEqual({
      success: true,
      data: { message: 'Status updated successfully', timestamp: at(NOON_MS) },
    });
    clock.advance(1_234);
    await push({ status: { mode: 'manual' }, timestamp: '2026-01-25T20:00:00.500+08:00' });
    expect(await latest()).toEqual({
      ...{ robot_id: 'robot', status: { mode: 'manual' } },
      ...{ timestamp: at(NOON_MS + 500), received_at: at(NOON_MS + 1_234) },
    });
    expect(await history()).toMatchObject([
      { status_json: '{"mode":"auto"}', timestamp: at(NOON_MS) },
      { status_json: '{"mode":"manual"}', timestamp: at(NOON_MS + 500) },
    ]);
  });

  it('are kept to the letter, in a batch as well, and over a restart', async () => {
    const database = await kind.create();
    onTestFinished(database.dispose);
    const app = await startApp(database);
    await app.call('POST', '/api/v1/robots', { robot_id: 'robot', robot_type: 'r' });
    const single =
      '{ "z": 12345678901234567890, "a": 1.0, "1": -0.0, "e": 1E+2, "t": "\\u00fc\\/" }';
    const batched = '{"b":9007199254740993,\n "z": [1.50, {"k": 1, "k": 2}]}';
    const time = Date.now();
    const pushed = await app.call(
      'POST',
      '/api/v1/robots/robot/status',
      `{"event_id":"e", "status": ${single}, "timestamp": ${time - 2}}`,
    );
    expect(pushed.status).toBe(200);
    const answer = await app.call(
      'POST',
      '/api/v1/robots/robot/status/batch',
      `{"samples":[ {"timestamp":${time - 1},"status":${batched} } ]}`,
    );
    expect(answer.json.data).toMatchObject({ stored: 1 });
    const check = async (server: TestApp) => {
      const { text } = await server.call('GET', '/api/v1/robots/robot/status');
      expect(text).toContain(`"status":${batched},`);
      const range = `start=${at(time - 10)}&end=${at(time)}`;
      const { json } = await server.call('GET', `/api/v1/robots/robot/history?${range}`);
      const blobs = json.data.history.map((entry: { status_json: string }) => entry.status_json);
      expect(blobs).toEqual([single, batched]);
    };
    await check(app);
    await app.close();
    await check(await startApp(database));
  });

  it('are the same when sent twice with an id, or with a time of their own', async () => {
    const { push, history, latest } = await start();
    const first = { status: { n: 1 }, event_id: 'e' };
    expect((await push(first)).status).toBe(200);
    expect((await push({ ...first, status: { n: 2 } })).status).toBe(200);
    expect((await latest()).status).toEqual({ n: 1 });
    const own = { status: { n: 3 }, timestamp: at(NOON_MS) };
    await push(own);
    await push(own);
    await push({ status: { n: 4 } });
    await push({ status: { n: 4 } });
    const blobs = (await history()).map(({ status_json }) => JSON.parse(status_json).n);
    expect(blobs).toEqual([1, 3, 4, 4]);
  });

  it('never turn the live state back', async () => {
    const { push, latest, history } = await start();
    const n = (value: number, offset: number) =>
      push({ status: { n: value }, timestamp: at(NOON_MS + offset) });
    await n(1, 0);
    await n(2, -MINUTE_MS);
    expect((await latest()).status).toEqual({ n: 1 });
    await n(3, 5 * MINUTE_MS);
    await n(4, 5 * MINUTE_MS - 1);
    expect((await latest()).status).toEqual({ n: 3 });
    await n(5, 5 * MINUTE_MS);
    expect((await latest()).status).toEqual({ n: 5 });
    const blobs = (await history()).map(({ status_json }) => JSON.parse(status_json).n);
    expect(blobs).toEqual([2, 1, 4, 3, 5]);
  });

  it('keep what they say wrongly, and name it', async () => {
    const { push, latest } = await start();
    const status = { battery_level: '85', global_position: { latitude: 91, longitude: 1 }, own: 1 };
    const { json } = await push({ status });
    expect(json.data.warnings).toEqual([
      { field: 'battery_level', message: expect.any(String) },
      { field: 'global_position.latitude', message: expect.any(String) },
    ]);
    expect((await latest()).status).toEqual(status);
    const fine = await push({ status: { battery_level: 85 } });
    expect(fine.json.data).not.toHaveProperty('warnings');
  });

  it('are refused in strict mode when they say something wrongly', async () => {
    const { push, batch, history } = await start({ config: { ingest: { strict: true } } });
    const refused = await push({ status: { battery_level: '85' } });
    expect(refused.status).toBe(400);
    expect(refused.json).toMatchObject({
      success: false,
      error: expect.stringContaining('battery_level: '),
      issues: [{ path: 'battery_level', message: expect.any(String) }],
    });
    expect((await push({ status: { battery_level: 85, own: {} } })).status).toBe(200);
    const { json } = await batch([
      { status: { battery_level: '85' }, timestamp: NOON_MS },
      { status: { battery_level: 84 }, timestamp: NOON_MS + 1 },
    ]);
    expect(json.data.results).toEqual([
      { index: 0, result: 'rejected', reason: expect.stringContaining('battery_level: ') },
      { index: 1, result: 'stored' },
    ]);
    expect(await history()).toHaveLength(2);
  });

  it.each([
    ['{}', 'status'],
    ['{"status":null}', 'status'],
    ['{"status":[]}', 'status'],
    ['{"status":"active"}', 'status'],
    ['[]', 'status'],
    ['7', 'status'],
    ['{"status":{},"timestamp":"yesterday"}', 'timestamp'],
    [`{"status":{},"timestamp":${NOON_MS + 6 * MINUTE_MS}}`, 'future'],
    ['{"status":{},"event_id":7}', 'event_id'],
    ['{"status":{}', 'JSON'],
  ])('are refused as %s, naming what is wrong', async (body, named) => {
    const { push, latest } = await start();
    const { status, json } = await push(body);
    expect(status).toBe(400);
    expect(json.success).toBe(false);
    expect(json.error).toContain(named);
    expect((await latest()).status).toBeNull();
  });

  describe('in a batch', () => {
    it('get a verdict each, in order; sent again they change nothing', async () => {
      const { push, batch, latest, history } = await start();
      await push({ status: { n: 'live' }, timestamp: at(NOON_MS) });
      const samples = Array.from({ length: 1_000 }, (_, n): unknown => {
        const timestamp = NOON_MS - (1_000 - n) * 1_000;
        if (n % 100 === 10) return { status: 'bad', timestamp };
        if (n % 100 === 20) return { status: { n } };
        if (n % 100 === 30) return { status: { n }, timestamp: NOON_MS + 6 * MINUTE_MS };
        // The same event, or the same time and content, as the sample before.
        if (n % 100 === 41) return { status: { n }, timestamp, event_id: `e${n - 1}` };
        if (n % 100 === 51) return { status: { n: n - 1 }, timestamp: timestamp - 1_000 };
        if (n % 100 === 60) return { status: { battery_level: 'full' }, timestamp };
        return {
          status: { n },
          timestamp: n % 2 ? timestamp : at(timestamp),
          event_id: n % 100 === 50 ? undefined : `e${n}`,
        };
      });
      const expected = (n: number, first: boolean) => {
        const part = n % 100;
        if (part === 10)
          return { index: n, result: 'rejected', reason: 'status: must be a JSON object' };
        if (part === 20)
          return { index: n, result: 'rejected', reason: expect.stringContaining('timestamp') };
        if (part === 30)
          return { index: n, result: 'rejected', reason: expect.stringContaining('future') };
        if (part === 41 || part === 51 || !first) return { index: n, result: 'duplicate' };
        if (part === 60) {
          return {
            ...{ index: n, result: 'stored' },
            warnings: [{ field: 'battery_level', message: expect.any(String) }],
          };
        }
        return { index: n, result: 'stored' };
      };
      for (const isFirst of [true, false]) {
        const { status, json } = await batch(samples);
        expect(status).toBe(200);
        expect(json.data).toEqual({
          robot_id: 'robot',
          stored: isFirst ? 950 : 0,
          duplicate: isFirst ? 20 : 970,
          rejected: 30,
          results: samples.map((_, n) => expected(n, isFirst)),
        });
        expect((await latest()).status).toEqual({ n: 'live' });
        expect(await history()).toHaveLength(951);
      }
    });

    it('move the live state to the newest of them, wherever it stands', async () => {
      const { batch, latest } = await start();
      await batch([3, 9, 1, 7].map((n) => ({ status: { n }, timestamp: NOON_MS + n })));
      expect(await latest()).toMatchObject({ status: { n: 9 }, timestamp: at(NOON_MS + 9) });
    });

    it.each([
      ['no samples', undefined],
      ['none', []],
      [
        'more than 1,000',
        Array.from({ length: 1_001 }, () => ({ status: {}, timestamp: NOON_MS })),
      ],
      ['something else', { status: {} }],
    ])('are refused whole when there are %s', async (_name, samples) => {
      const { batch, history } = await start();
      const { status, json } = await batch(samples);
      expect(status).toBe(400);
      expect(json.error).toContain('samples');
      expect(await history()).toEqual([]);
    });

    it('that holds nothing good is answered all the same', async () => {
      const { batch } = await start();
      const { status, json } = await batch([1, null, 'x']);
      expect(status).toBe(200);
      expect(json.data).toMatchObject({ stored: 0, rejected: 3 });
    });
  });

  it('that do not fit into the queue are answered with 503 and Retry-After, and not stored', async () => {
    const { call, history, app } = await start({ config: { limits: { ingest_queue: 300 } } });
    const samples = Array.from({ length: 200 }, (_, n) => ({
      status: { n },
      timestamp: NOON_MS - n,
    }));
    const path = '/api/v1/robots/robot/status/batch';
    const send = (tag: number) =>
      call('POST', path, { samples: samples.map((s, n) => ({ ...s, event_id: `${tag}-${n}` })) });
    const answers = await Promise.all(Array.from({ length: 12 }, (_, tag) => send(tag)));
    const stored = answers.flatMap(({ status }, tag) => (status === 200 ? [tag] : []));
    for (const { status, json, headers } of answers) {
      if (status === 200) continue;
      expect(status).toBe(503);
      expect(json).toMatchObject({ success: false, code: 'overloaded', limit: 'ingest_queue' });
      expect(headers.get('retry-after')).toBe('1');
    }
    expect(stored.length).toBeGreaterThan(0);
    expect(stored.length).toBeLessThan(12);
    expect(await history()).toHaveLength(stored.length * 200);
    await until('an empty queue', async () => {
      const { text } = await call('GET', '/metrics');
      return /^fleetwire_ingest_queue_rows 0$/m.test(text);
    });
    const [again] = await Promise.all([send(stored[0]!)]);
    expect(again?.json.data).toMatchObject({ stored: 0, duplicate: 200 });
    expect(app.server.server.listening).toBe(true);
  });

  it('are answered with 503 while the database takes none, and stored again when it does', async () => {
    const database = await kind.create();
    onTestFinished(database.dispose);
    const lines: string[] = [];
    const log = createLogger('info', { write: (line) => void lines.push(line) });
    const { push, batch, history, call } = await start({ log }, database);
    const { db, close } = await openDatabase(database.config);
    onTestFinished(close);
    expect((await push({ status: { n: 1 } })).status).toBe(200);
    await db.schema.alterTable('robot_statuses').renameTo('away').execute();
    const sample = { status: { n: 2 }, timestamp: NOON_MS };
    for (const answer of await Promise.all([push(sample), batch([sample]), push(sample)])) {
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toBe('5');
      expect(answer.json).toMatchObject({ success: false, code: 'unavailable' });
      expect(answer.text).not.toContain('robot_statuses');
    }
    expect(lines.join()).toContain('robot_statuses');
    expect((await call('GET', '/api/v1/robots/robot/status')).json.data.status).toEqual({ n: 1 });
    await db.schema.alterTable('away').renameTo('robot_statuses').execute();
    expect((await push(sample)).status).toBe(200);
    expect(await history()).toHaveLength(2);
  });

  it('of a robot that is deleted meanwhile are told so', async () => {
    const { push, batch, call } = await start();
    await push({ status: {} });
    await call('DELETE', '/api/v1/robots/robot', { confirm: 'robot' });
    expect((await push({ status: {} })).status).toBe(404);
    expect((await batch([{ status: {}, timestamp: NOON_MS }])).status).toBe(404);
  });
});
