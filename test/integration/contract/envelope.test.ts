import { beforeAll, describe, expect, it } from 'vitest';
import { kairoio } from '../../../src/rest-adapter/surfaces/kairoio.js';
import { type Answer, useApp } from '../../support/app.js';
import { type Call, contractDoors, type Fields, rowOf } from '../../support/contract-doors.js';
import { describeEachDatabase } from '../../support/databases.js';
import { mapForm, upload } from '../../support/maps.js';
import { expectFailure, INSTANT } from '../../support/rest.js';

const ROBOT = '/api/v1/robots/{robotId}';
const NOON = '2026-01-25T12:00:00.000Z';
/** The same instant as people write it elsewhere, and as some robots write it. */
const ELSEWHERE = ['2026-01-25T20:00:00+08:00', '2026-01-25T06:30:00.000-05:30'];
const SCHEMA = { title: 'K', schema: {}, example: {} };

/** Everything that takes fields, with some that it takes. What is in the path is `params` below. */
const LINES: Readonly<Record<string, Fields>> = {
  'POST /api/v1/auth/login': { username: 'kairoio', password: 'kairoio' },
  'POST /api/v1/keys': { name: 'k' },
  'POST /api/v1/keys/{keyId}/rotate': {},
  'POST /api/v1/robots': { robot_id: 'r2', robot_type: 'x' },
  [`PUT ${ROBOT}`]: {},
  [`POST ${ROBOT}/status`]: { status: {} },
  [`POST ${ROBOT}/status/batch`]: { samples: [{ status: {}, timestamp: NOON, other: 1 }] },
  [`GET ${ROBOT}/status`]: {},
  [`GET ${ROBOT}/history`]: { start: NOON, end: NOON },
  [`GET ${ROBOT}/trajectory`]: {},
  [`GET ${ROBOT}/token`]: {},
  [`POST ${ROBOT}/logs`]: { topic: 't', message: 'm' },
  [`POST ${ROBOT}/logs/batch`]: { logs: [{ topic: 't', message: 'm', other: 1 }] },
  [`GET ${ROBOT}/logs`]: {},
  [`POST ${ROBOT}/alert`]: { alert_type: 't', severity: 'info', message: 'm' },
  'GET /api/v1/alerts': {},
  'POST /api/v1/alerts/{alertId}/acknowledge': {},
  'POST /api/v1/alerts/{alertId}/resolve': {},
  'GET /api/v1/alert-rules': {},
  'PUT /api/v1/alert-rules/{ruleId}': { cooldown_minutes: 1 },
  'GET /api/v1/actions': {},
  'GET /api/v1/actions/all': {},
  'PUT /api/v1/actions/{actionId}': { description: 'Greets' },
  [`POST ${ROBOT}/control`]: { action: 'dock' },
  [`GET ${ROBOT}/control/logs`]: {},
  [`GET ${ROBOT}/control/next`]: { wait: 0 },
  [`POST ${ROBOT}/control/{commandId}/ack`]: { status: 'received' },
  'GET /api/v1/maps': {},
  'GET /api/v1/map/latest': {},
  [`POST ${ROBOT}/map`]: { map_id: null },
  'GET /api/v1/schemas': {},
  'PUT /api/v1/schemas/{id}': SCHEMA,
  [`POST ${ROBOT}/stop`]: { reason: 'x' },
  [`POST ${ROBOT}/stop/clear`]: {},
  'POST /api/v1/fleet/stop': { reason: 'x' },
  'POST /api/v1/fleet/stop/clear': {},
};
const lines = Object.entries(LINES);

/** The members of an answer that are times; examples are what clients may write. */
function timesIn(value: unknown): unknown[] {
  if (Array.isArray(value)) return value.flatMap(timesIn);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    if (name === 'example') return [];
    return /(_at|^timestamp)$/.test(name) ? [member] : timesIn(member);
  });
}

describeEachDatabase('the contract, envelope', (kind) => {
  const app = useApp(kind);
  beforeAll(async () => {
    await made('robots', { robot_id: 'r1', robot_type: 'x' });
    expect((await upload(app(), mapForm())).status).toBe(200);
  });

  async function made(path: string, body: Fields) {
    const { status, text, json } = await app().call('POST', `/api/v1/${path}`, body);
    expect({ path, status, text }).toMatchObject({ status: 200 });
    return json.data;
  }

  describe.each(contractDoors)('through %s', (name, open) => {
    const call: Call = open(app);
    const params: Record<string, string> = { robotId: 'r1' };

    beforeAll(async () => {
      const alert = { alert_type: 't', severity: 'info', message: 'm' };
      const rule = { name: 'r', condition: 'a < 1', severity: 'info' };
      const id = `k-${name.toLowerCase()}`;
      params.alertId = (await made('robots/r1/alert', alert)).alert_id;
      params.ruleId = (await made('alert-rules', rule)).id;
      params.keyId = (await made('keys', { name: 'k' })).id;
      params.actionId = (await made('actions', { name: `wave_${name.toLowerCase()}` })).id;
      params.commandId = (await made('robots/r1/control', { action: 'dock' })).command_id;
      params.id = (await made('schemas', { id, ...SCHEMA })).id;
    });

    it.each(lines)('fields that are not known are ignored: %s', async (line, fields) => {
      const unknown = { unknown_field: 'x', utm_source: '1', __typename: 'Thing' };
      const reply = await call(line, { ...fields, ...unknown }, params);
      expect({ line, reply }).toMatchObject({ reply: { status: 200 } });
      expect(JSON.stringify(reply)).not.toContain('utm_source');
      for (const time of timesIn(reply.data)) expect([INSTANT, null]).toContainEqual(time);
    });

    it.each<[string, Fields]>([
      [`POST ${ROBOT}/status`, { status: { noon: true } }],
      [`POST ${ROBOT}/logs`, { topic: 'noon', message: 'm' }],
      [`POST ${ROBOT}/alert`, { alert_type: 'noon', severity: 'info', message: 'm' }],
    ])('times that are sent may have any offset: %s', async (line, fields) => {
      const list = line.endsWith('/alert')
        ? () => call('GET /api/v1/alerts', { alert_type: 'noon', limit: 1 })
        : line.endsWith('/logs')
          ? () => call(`GET ${ROBOT}/logs`, { topic: 'noon', limit: 1 }, params)
          : undefined;
      for (const timestamp of ELSEWHERE) {
        const reply = await call(line, { ...fields, timestamp }, params);
        expect(reply.status).toBe(200);
        const shown = list ? await list() : reply;
        expect(timesIn(shown.data)[0]).toBe(NOON);
      }
    });

    it.each([`GET ${ROBOT}/history`, `GET ${ROBOT}/trajectory`, `GET ${ROBOT}/logs`])(
      'times that are asked for may have any offset: %s',
      async (line) => {
        const robotId = `r-${line.at(-1)}-${name}`;
        await call('POST /api/v1/robots', { robot_id: robotId, robot_type: 'x' });
        const status = { local_position: { x: 1, y: 2 } };
        await call(`POST ${ROBOT}/status`, { status, timestamp: NOON }, { robotId });
        const log = { topic: 't', message: 'm', timestamp: NOON };
        await call(`POST ${ROBOT}/logs`, log, { robotId });
        for (const instant of ELSEWHERE) {
          const range = { start: instant, end: instant };
          expect((await call(line, range, { robotId })).data.count).toBe(1);
          const before = { start: '2026-01-25T19:00:00+08:00', end: '2026-01-25T19:59:59+08:00' };
          expect((await call(line, before, { robotId })).data.count).toBe(0);
        }
      },
    );

    it('500 tells an id, and nothing of the inside', async () => {
      const { robots } = app().app.services;
      const { list } = robots;
      robots.list = () => {
        throw new Error('SQLITE_CORRUPT in /srv/data/fleet.db: select key from accounts');
      };
      try {
        const reply = await call('GET /api/v1/robots');
        expect(reply).toEqual({
          status: 500,
          error: expect.stringMatching(/^Internal error [0-9a-f-]{36}$/),
        });
      } finally {
        robots.list = list;
      }
    });
  });

  it('every creation is documented as 200, and nothing as 201', async () => {
    const { json } = await app().call('GET', '/openapi.json');
    // But for WHIP and WHEP, whose own contract is RFC 9725.
    for (const { method, path } of kairoio.rows.filter(({ raw }) => !raw?.answers)) {
      const { responses } = json.paths[path][method.toLowerCase()];
      const successes = Object.keys(responses).filter((code) => code.startsWith('2'));
      expect([method, path, successes]).toEqual([method, path, ['200']]);
    }
  });

  it.each<[string, string, number]>([
    ['GET', '/health', 200],
    ['GET', '/openapi.json', 200],
    ['GET', '/api/v1/robots/r1/status', 200],
    ['GET', '/api/v1/robots/r1/history?limit=1', 200],
    ['GET', '/api/v1/map/latest', 200],
    ['GET', '/api/v1/audit/export', 200],
    ['HEAD', '/api/v1/robots/r1/logs/subscribe', 200],
    ['POST', '/api/v1/robots/r1/status', 400],
    ['GET', '/api/v1/robots/nobody', 404],
    ['GET', '/nowhere', 404],
  ])('CORS: any origin may read %s %s', async (method, path, status) => {
    const headers = {
      origin: 'https://dashboard.example.com',
      authorization: `Bearer ${app().admin.token}`,
    };
    const answer = await fetch(app().url + path, { method, headers });
    await answer.body?.cancel();
    const origin = answer.headers.get('access-control-allow-origin');
    expect([answer.status, origin]).toEqual([status, '*']);
  });

  it('a body of any type of content is JSON, and none is none', async () => {
    const send = async (method: string, path: string, type?: string): Promise<Answer> => {
      const response = await fetch(app().url + path, {
        method,
        headers: {
          authorization: `Bearer ${app().admin.token}`,
          ...(type !== undefined && { 'content-type': type }),
        },
      });
      const text = await response.text();
      return {
        ...{ status: response.status, headers: response.headers, text },
        json: JSON.parse(text),
      };
    };
    // Clients that always say JSON, also where they send nothing.
    for (const type of [undefined, 'application/json']) {
      expect((await send('GET', '/api/v1/robots', type)).status).toBe(200);
      const path = '/api/v1/fleet/stop/clear';
      expect((await send('POST', path, type)).status).toBe(200);
      expectFailure(await send('DELETE', '/api/v1/actions/none', type), 404, 'Action not found');
    }
  });

  it('has only lines that there are', () => {
    for (const [line] of lines) expect(rowOf(line).path).toBe(line.split(' ')[1]);
  });
});
