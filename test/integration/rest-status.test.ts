import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type DatabaseHandle, openDatabase } from '../../src/db/client.js';
import { useApp } from '../support/app.js';
import { describeEachDatabase, type TestDatabase } from '../support/databases.js';
import { expectData, expectFailure, INSTANT } from '../support/rest.js';

describeEachDatabase('telemetry over REST', (kind) => {
  // The same database twice: the server's, and one of our own to see what it stored.
  let database: TestDatabase;
  let handle: DatabaseHandle;
  const app = useApp({
    ...kind,
    async create() {
      database = await kind.create();
      return database;
    },
  });
  beforeAll(async () => {
    handle = await openDatabase(database.config);
  });
  afterAll(() => handle.close());

  let robots = 0;
  let robot = '';
  let base = '';
  beforeEach(async () => {
    robot = `r${++robots}`;
    base = `/api/v1/robots/${robot}`;
    await app().call('POST', '/api/v1/robots', { robot_id: robot, robot_type: 'x' });
  });
  const post = (path: string, body?: unknown) => app().call('POST', `${base}${path}`, body);
  const get = (path: string) => app().call('GET', `${base}${path}`);

  it('has no status before the first one', async () => {
    expectData(await get('/status'), { message: 'No status available', status: null });
  });

  it('stores a status and gives it back', async () => {
    const status = { status: 'active', battery_level: 85, own: { nested: [1, null, 'ü'] } };
    expectData(await post('/status', { status }), {
      message: 'Status updated successfully',
      timestamp: INSTANT,
    });
    const answer = await get('/status');
    expectData(answer, { robot_id: robot, status, timestamp: INSTANT, received_at: INSTANT });
    expect(answer.json.data.timestamp).toBe(answer.json.data.received_at);
    const robotNow = (await get('')).json.data;
    expect(robotNow).toMatchObject({ presence: 'online', last_seen_at: INSTANT });
  });

  it('keeps the status to the letter', async () => {
    const text =
      '{"z":1.0,"big":123456789012345678901234567890,"a":"\\u0000\\ud800","e":1e999,"__proto__":{"x":1}}';
    expect((await post('/status', `{"status": ${text} }`)).status).toBe(200);
    expect((await get('/status')).text).toContain(`"status":${text},`);
  });

  it.each([
    ['2026-01-25T12:00:00Z', '2026-01-25T12:00:00.000Z'],
    ['2026-01-25T20:00:00.123456789+08:00', '2026-01-25T12:00:00.123Z'],
    ['2026-01-25 12:00:00.5-00:30', '2026-01-25T12:30:00.500Z'],
    ['2026-01-25t12:00:00z', '2026-01-25T12:00:00.000Z'],
    ['1970-01-01T00:00:05Z', '1970-01-01T00:00:05.000Z'],
    [1_769_342_400_000, '2026-01-25T12:00:00.000Z'],
  ])('reads the time %j', async (timestamp, instant) => {
    expect((await post('/status', { status: {}, timestamp })).json.data.timestamp).toBe(instant);
    expect((await post('/logs', { topic: 't', message: 'm', timestamp })).status).toBe(200);
    const line = await handle.db
      .selectFrom('robot_logs')
      .selectAll()
      .where('robot_id', '=', robot)
      .executeTakeFirstOrThrow();
    expect(line.timestamp).toBe(Date.parse(instant));
  });

  it.each([
    ['2026-01-25T12:00:00', /offset/],
    ['25.1.2026', /RFC 3339/],
    ['2026-02-30T25:00:00Z', /not a date that exists/],
    ['0000-01-01T00:00:00+23:59', /not a date that exists/],
    ['9999-12-31T23:59:59-01:00', /not a date that exists/],
    [1_769_342_400, /seconds/],
    [1e300, /too large/],
    [1.5, /integer/],
    ['9999-12-31T23:59:59Z', /future/],
    [{}, /^timestamp: /],
  ])('refuses the time %j', async (timestamp, sentence) => {
    expectFailure(await post('/status', { status: {}, timestamp }), 400, sentence);
    expectData(await get('/status'), { message: 'No status available', status: null });
  });

  it('warns of known keys that it does not understand, and keeps them', async () => {
    const status = { battery_level: '85', global_position: { latitude: 91, longitude: 0 } };
    const answer = await post('/status', { status });
    expectData(answer, {
      message: 'Status updated successfully',
      timestamp: INSTANT,
      warnings: [
        { field: 'battery_level', message: expect.any(String) },
        { field: 'global_position.latitude', message: expect.any(String) },
      ],
    });
    expect((await get('/status')).json.data.status).toEqual(status);
    const row = await handle.db
      .selectFrom('robot_statuses')
      .selectAll()
      .where('robot_id', '=', robot)
      .executeTakeFirstOrThrow();
    expect(row).toMatchObject({ battery_level: null, lat: null, lng: null });
  });

  it.each([
    '[]',
    'null',
    '{}',
    '{"status":[]}',
    '{"status":"x"}',
    '{"status":null}',
    '"x"',
    '1',
    '',
  ])('refuses the body %j', async (body) => {
    expectFailure(await post('/status', body), 400, 'status must be a JSON object');
  });

  it('stores each sample of a batch once, and says of each what became of it', async () => {
    const samples = [
      { status: { n: 1 }, timestamp: '2026-01-25T12:00:00Z', event_id: 'one' },
      { status: { n: 2 }, timestamp: '2026-01-25T20:00:01+08:00' },
      { status: 'x', timestamp: '2026-01-25T12:00:02Z' },
      { status: {} },
      null,
      { status: { battery_level: 200 }, timestamp: 1_769_342_403_000 },
    ];
    const rejected = (index: number, reason: RegExp) => ({
      index,
      result: 'rejected',
      reason: expect.stringMatching(reason),
    });
    const bad = [
      rejected(2, /^status: /),
      rejected(3, /^timestamp: /),
      rejected(4, /must be an object/),
    ];
    const warnings = [{ field: 'battery_level', message: expect.any(String) }];
    expectData(await post('/status/batch', { samples }), {
      robot_id: robot,
      stored: 3,
      duplicate: 0,
      rejected: 3,
      results: [
        { index: 0, result: 'stored' },
        { index: 1, result: 'stored' },
        ...bad,
        { index: 5, result: 'stored', warnings },
      ],
    });
    expectData(await post('/status/batch', { samples }), {
      robot_id: robot,
      stored: 0,
      duplicate: 3,
      rejected: 3,
      results: [
        { index: 0, result: 'duplicate' },
        { index: 1, result: 'duplicate' },
        ...bad,
        { index: 5, result: 'duplicate' },
      ],
    });
    expect((await get('/history?limit=10')).json.data.count).toBe(3);
    expect((await get('/status')).json.data.status).toEqual({ battery_level: 200 });
  });

  it.each([
    [{}, /^samples: /],
    [{ samples: {} }, /^samples: /],
    [{ samples: [] }, /^samples: /],
    [{ samples: Array(1_001).fill(0) }, /^samples: .*1000/],
  ])('refuses the batch %#', async (body, sentence) => {
    expectFailure(await post('/status/batch', body), 400, sentence);
  });

  it('takes no status that could not be written again', async () => {
    const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
    const sentence = 'status: must not be nested deeper than 500 levels';
    expect((await post('/status', `{"status":${deep(500)}}`)).status).toBe(200);
    expectFailure(await post('/status', `{"status":${deep(501)}}`), 400, sentence);
    expectFailure(await post('/status', `{"status":${deep(100_000)}}`), 400, sentence);
    const batch = `{"samples":[{"timestamp":1769342400000,"status":${deep(100_000)}},{"timestamp":1769342400000,"status":{}}]}`;
    expect((await post('/status/batch', batch)).json.data.results).toEqual([
      { index: 0, result: 'rejected', reason: sentence },
      { index: 1, result: 'stored' },
    ]);
  });

  it('stores log lines', async () => {
    const line = {
      topic: 'navigation',
      message: 'a NUL \u0000, half \ud800 of a pair, a whole 🤖',
      level: 'warn',
    };
    expectData(await post('/logs', { ...line, timestamp: '2026-01-25T20:00:00+08:00' }), {
      status: 'logged',
    });
    expectData(await post('/logs', { topic: 't', message: '' }), { status: 'logged' });
    const rows = await handle.db
      .selectFrom('robot_logs')
      .select(['account_id', 'topic', 'message', 'level', 'timestamp'])
      .where('robot_id', '=', robot)
      .orderBy('id')
      .execute();
    expect(rows).toEqual([
      {
        account_id: app().admin.account_id,
        topic: 'navigation',
        message: 'a NUL \ufffd, half \ufffd of a pair, a whole 🤖',
        level: 'warn',
        timestamp: Date.parse('2026-01-25T12:00:00Z'),
      },
      expect.objectContaining({ topic: 't', message: '', level: null }),
    ]);
  });

  it.each([
    [{}, 'topic and message are required'],
    [{ topic: '', message: 'm' }, 'topic and message are required'],
    [{ topic: 't' }, 'topic and message are required'],
    [{ topic: 't', message: 5 }, /^message: /],
    [{ topic: 't', message: 'm', timestamp: 'yesterday' }, /^timestamp: .*RFC 3339/],
  ])('refuses the log line %j', async (body, sentence) => {
    expectFailure(await post('/logs', body), 400, sentence);
  });

  it('stores alerts', async () => {
    const alert = {
      alert_type: 'low_battery',
      severity: 'warning',
      message: 'Battery at 15 %',
      metadata: { battery_level: 15 },
    };
    const answer = await post('/alert', { ...alert, timestamp: '2026-01-25T20:00:00+08:00' });
    expectData(answer, {
      message: 'Alert received and stored',
      alert_id: expect.any(String),
      robot_id: robot,
    });
    const row = await handle.db
      .selectFrom('alerts')
      .selectAll()
      .where('id', '=', answer.json.data.alert_id)
      .executeTakeFirstOrThrow();
    expect(row).toMatchObject({
      ...alert,
      robot_id: robot,
      account_id: app().admin.account_id,
      metadata: '{"battery_level":15}',
      status: 'active',
      created_at: Date.parse('2026-01-25T12:00:00Z'),
    });
  });

  it.each([
    [{}, 'alert_type, severity and message are required'],
    [{ alert_type: 't', severity: 'fatal', message: 'm' }, /^severity: /],
    [{ alert_type: 't', severity: 'info', message: 'm', metadata: [] }, /^metadata: /],
  ])('refuses the alert %j', async (body, sentence) => {
    expectFailure(await post('/alert', body), 400, sentence);
  });

  it('takes no alert whose metadata could not be written', async () => {
    const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
    const body = `{"alert_type":"t","severity":"info","message":"m","metadata":${deep}}`;
    expectFailure(await post('/alert', body), 400, /^metadata: must not be nested/);
  });
});
