import { once } from 'node:events';
import { connect } from 'node:net';
import { beforeAll, expect, it } from 'vitest';
import { useApp } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { expectData, expectFailure } from '../support/rest.js';
import { until } from '../support/until.js';

/** 2026-01-25T12:00:00Z */
const START_MS = 1_769_342_400_000;
const SAMPLES = 250;
const at = (n: number) => new Date(START_MS + n * 1_000).toISOString();
const query = (values: Record<string, string | number>) =>
  new URLSearchParams(values as Record<string, string>);

describeEachDatabase('history and trajectory over REST', (kind) => {
  const app = useApp(kind);
  const base = '/api/v1/robots/r1';
  const get = (path: string) => app().call('GET', `${base}${path}`);

  beforeAll(async () => {
    const { call } = app();
    for (const robot_id of ['r1', 'empty', 'half']) {
      await call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' });
    }
    const samples = Array.from({ length: SAMPLES }, (_, n) => ({
      timestamp: at(n),
      status: { n, local_position: { x: n / 2, y: -n } },
    }));
    const { json } = await call('POST', `${base}/status/batch`, { samples });
    expect(json.data.stored).toBe(SAMPLES);
  });

  it('answers a whole range, oldest first, statuses as they were stored', async () => {
    const answer = await get(`/history?${query({ start: at(0), end: at(SAMPLES) })}`);
    expect(answer.status).toBe(200);
    const { data } = answer.json;
    expect({ ...data, history: data.history.length }).toEqual({
      robot_id: 'r1',
      count: SAMPLES,
      history: SAMPLES,
    });
    expect(data.history.map(({ timestamp }: { timestamp: string }) => timestamp)).toEqual(
      Array.from({ length: SAMPLES }, (_, n) => at(n)),
    );
    expect(data.history[7]).toEqual({
      id: expect.any(Number),
      robot_id: 'r1',
      account_id: app().admin.account_id,
      status_json: '{"n":7,"local_position":{"x":3.5,"y":-7}}',
      timestamp: at(7),
      received_at: expect.stringMatching(/Z$/),
    });
  });

  it.each([
    ['UTC', '2026-01-25T12:00:10Z'],
    ['milliseconds since the epoch', START_MS + 10_000],
    ['an offset', '2026-01-25T20:00:10+08:00'],
    ['a fraction', '2026-01-25T12:00:10.000000Z'],
  ])('takes both ends of a range in %s', async (_name, end) => {
    const { json } = await get(`/history?${query({ start: at(8), end })}`);
    expect(json.data.history.map((entry: { timestamp: string }) => entry.timestamp)).toEqual(
      [8, 9, 10].map(at),
    );
  });

  it('takes an offset whose plus was not encoded', async () => {
    const { json } = await get(
      '/history?start=2026-01-25T20:00:08+08:00&end=2026-01-25T20:00:08.9+08:00',
    );
    expect(json.data.count).toBe(1);
  });

  it.each(['', '?start=', '?start=&end=', `?start=${START_MS}`, `?end=${START_MS}`, '?other=1'])(
    'refuses a history with no range (%j)',
    async (search) => {
      expectFailure(await get(`/history${search}`), 400, 'robotId, start, and end are required');
    },
  );

  it.each([
    ['history', { start: at(2), end: at(1) }, 'start must not be after end'],
    ['trajectory', { start: at(2), end: at(1) }, 'start must not be after end'],
    ['trajectory', { end: 'now' }, /^end: must be RFC 3339/],
    ['history', { start: 'yesterday', end: at(1) }, /^start: must be RFC 3339/],
    ['history', { start: '2026-13-01T00:00:00Z', end: at(1) }, /^start: is not a date/],
    ['history', { start: '1769342400', end: at(1) }, /^start: .*seconds/],
    ['history', { start: '9'.repeat(400), end: at(1) }, /^start: /],
    ['history', { limit: 0 }, /^limit: .*>=1/],
    ['history', { limit: 1_001 }, /^limit: .*<=1000/],
    ['history', { limit: 'ten' }, /^limit: .*expected number/],
    ['history', { limit: 1.5 }, /^limit: .*int/],
    ['trajectory', { max_points: 1 }, /^max_points: .*>=2/],
    ['trajectory', { max_points: 100_001 }, /^max_points: .*<=100000/],
  ])('refuses %s of %j', async (what, values, sentence) => {
    expectFailure(await get(`/${what}?${query(values)}`), 400, sentence);
  });

  it('refuses a parameter that is given twice', async () => {
    expectFailure(await get('/history?limit=1&limit=2'), 400, /^limit: /);
    expectFailure(await get('/trajectory?start=1&start=2'), 400, /^start: /);
  });

  it.each([1, 25, 26, 60, 1_000])('answers the newest %i without a range', async (limit) => {
    const { json } = await get(`/history?${query({ limit })}`);
    const expected = Math.min(limit, SAMPLES);
    expect(json.data).toMatchObject({ robot_id: 'r1', count: expected });
    expect(json.data.history.map((entry: { timestamp: string }) => entry.timestamp)).toEqual(
      Array.from({ length: expected }, (_, n) => at(SAMPLES - 1 - n)),
    );
  });

  it('answers the newest of a range', async () => {
    const { json } = await get(`/history?${query({ limit: 2, start: at(3), end: at(9) })}`);
    expect(json.data.history.map((entry: { timestamp: string }) => entry.timestamp)).toEqual(
      [9, 8].map(at),
    );
  });

  it('answers an empty list where there is nothing', async () => {
    const range = query({ start: at(0), end: at(SAMPLES) });
    const call = (path: string) => app().call('GET', `/api/v1/robots/empty/${path}`);
    expectData(await call(`history?${range}`), { robot_id: 'empty', history: [], count: 0 });
    expectData(await call('history?limit=5'), { robot_id: 'empty', history: [], count: 0 });
    expectData(await call(`trajectory?${range}`), { robot_id: 'empty', path: [], count: 0 });
  });

  it('answers the path of a range, oldest first', async () => {
    const answer = await get(`/trajectory?${query({ start: at(4), end: at(5) })}`);
    expectData(answer, {
      robot_id: 'r1',
      path: [
        { x: 2, y: -4, lat: null, lng: null, timestamp: at(4) },
        { x: 2.5, y: -5, lat: null, lng: null, timestamp: at(5) },
      ],
      count: 2,
    });
  });

  it('answers the path of the last 24 hours unless told otherwise', async () => {
    const { call } = app();
    const now = Date.now();
    const samples = [now - 86_400_000 - 60_000, now - 86_400_000 + 60_000, now].map(
      (timestamp) => ({
        timestamp,
        status: { global_position: { latitude: 25.033, longitude: 121.5654 } },
      }),
    );
    samples.push({ timestamp: now - 1_000, status: {} as never });
    await call('POST', '/api/v1/robots/half/status/batch', { samples });
    const { json } = await call('GET', '/api/v1/robots/half/trajectory');
    const place = { x: null, y: null, lat: 25.033, lng: 121.5654 };
    expect(json.data).toEqual({
      robot_id: 'half',
      path: [
        { ...place, timestamp: new Date(now - 86_400_000 + 60_000).toISOString() },
        { ...place, timestamp: new Date(now).toISOString() },
      ],
      count: 2,
    });
  });

  it('thins a path to max_points, over the whole range', async () => {
    const all = query({ start: at(0), end: at(SAMPLES) });
    const thinned = (await get(`/trajectory?${all}&max_points=10`)).json.data;
    expect(thinned.count).toBe(10);
    expect(thinned.path[0].timestamp).toBe(at(0));
    expect(Date.parse(thinned.path.at(-1).timestamp)).toBeGreaterThan(
      Date.parse(at(SAMPLES * 0.85)),
    );
    expect((await get(`/trajectory?${all}&max_points=${SAMPLES}`)).json.data.count).toBe(SAMPLES);
  });

  it('reads ahead of a viewer who does not by a page or two, whatever the length', async () => {
    const { call, admin, app: server, url } = app();
    const PAGES = 60;
    await call('POST', '/api/v1/robots', { robot_id: 'long', robot_type: 'x' });
    const blob = 'x'.repeat(8_000);
    for (let batch = 0; batch < PAGES; batch += 1) {
      const samples = Array.from({ length: 100 }, (_, n) => ({
        timestamp: START_MS + batch * 100 + n,
        status: { blob },
      }));
      await call('POST', '/api/v1/robots/long/status/batch', { samples });
    }
    // The real history, watched: which page was asked for last, and whether the reading ended.
    const { history } = server.services;
    const seen = { pages: 0, ended: false };
    const { historyJson } = history;
    history.historyJson = async (...args) => {
      const pages = await historyJson(...args);
      return (async function* () {
        try {
          for await (const page of pages) {
            seen.pages += 1;
            yield page;
          }
        } finally {
          seen.ended = true;
        }
      })();
    };
    try {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      await once(socket, 'connect');
      socket.write(
        `GET /api/v1/robots/long/history?start=${START_MS}&end=${START_MS + 10_000} HTTP/1.1\r\n` +
          `host: x\r\nauthorization: Bearer ${admin.token}\r\n\r\n`,
      );
      await once(socket, 'readable');
      socket.pause();
      // The kernel takes a few megabytes; when no page was asked for in a while, nobody reads ahead.
      let before = -1;
      await until('the reading to stand still', async () => {
        const still = seen.pages === before;
        before = seen.pages;
        await call('GET', '/api/v1/robots/long/history?limit=200');
        return still;
      });
      expect(seen.pages).toBeLessThan(PAGES / 2);
      expect(seen.ended).toBe(false);
      socket.destroy();
      await until('the reading to end with its viewer', () => seen.ended);
      expect(seen.pages).toBeLessThan(PAGES / 2 + 2);
    } finally {
      history.historyJson = historyJson;
    }
  });
});
