import { TokenVerifier } from 'livekit-server-sdk';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Account, useApp } from '../../support/app.js';
import { type Call, contractDoors, restDoor, trpcDoor } from '../../support/contract-doors.js';
import { describeEachDatabase } from '../../support/databases.js';
import { expectFailure, INSTANT } from '../../support/rest.js';
import { openSse } from '../../support/sse.js';

const ROBOT = '/api/v1/robots/{robotId}';
const NOON = '2026-01-25T12:00:00.000Z';
const at = (second: number) => new Date(Date.parse(NOON) + second * 1_000).toISOString();

describeEachDatabase('the contract, robots', (kind) => {
  const app = useApp(kind);
  let owner: Account;
  let robotId: string;
  let robots = 0;

  beforeEach(async () => {
    owner = await app().addAccount();
    robots += 1;
    robotId = `r${robots}`;
    const robot = { robot_id: robotId, robot_type: 'mobile_robot', robot_name: 'Patrol Bot 1' };
    const answer = await app().call('POST', '/api/v1/robots', robot, owner.token);
    expect(answer.status).toBe(200);
  });

  describe.each(contractDoors)('through %s', (name, open) => {
    let call: Call;
    beforeEach(() => {
      call = open(app, owner.token);
    });
    const here = (line: string, fields?: Record<string, unknown>) =>
      call(line, fields, { robotId });
    const done = (data: object) => ({ status: 200, data });
    /** REST has one sentence for what is missing; tRPC names each field. */
    const missing = (error: string) => ({
      status: 400,
      error: name === 'REST' ? error : expect.any(String),
    });

    it('POST /api/v1/robots', async () => {
      const robot_id = `${robotId}-new`;
      const robot = { robot_id, robot_type: 'any type' };
      const registered = { message: 'Robot registered successfully', robot_id };
      expect(await call('POST /api/v1/robots', robot)).toEqual(done(registered));
      const again = { message: 'Robot already registered', robot_id };
      expect(await call('POST /api/v1/robots', robot)).toEqual(done(again));
      const stranger = open(app, (await app().addAccount()).token);
      const taken = { status: 409, error: 'Robot ID already taken' };
      expect(await stranger('POST /api/v1/robots', robot)).toEqual(taken);
      for (const body of [{}, { robot_id: 'x' }, { robot_type: 'x' }]) {
        expect(await call('POST /api/v1/robots', body)).toEqual(
          missing('robot_id and robot_type are required'),
        );
      }
    });

    it('GET /api/v1/robots', async () => {
      expect(await call('GET /api/v1/robots')).toEqual(
        done({
          robots: [
            {
              ...{ id: robotId, account_id: owner.account_id, robot_type: 'mobile_robot' },
              ...{ robot_name: 'Patrol Bot 1', created_at: INSTANT, updated_at: INSTANT },
              ...{ presence: 'offline', presence_timeout_ms: null, last_seen_at: null },
              ...{ active_map_id: null, stopped_at: null, stopped_by: null },
            },
          ],
          count: 1,
        }),
      );
    });

    it('POST and GET …/status', async () => {
      const none = { message: 'No status available', status: null };
      expect(await here(`GET ${ROBOT}/status`)).toEqual(done(none));
      const status = {
        ...{ status: 'active', mode: 'auto', battery_level: 85 },
        global_position: { latitude: 25.033, longitude: 121.5654, altitude: 0 },
        local_position: { x: 10.5, y: 5.2, z: 0, yaw: 1.57 },
        sensor_overview: [
          { sensor_id: 'temp', sensor_type: 'Temperature', value: 25.5, unit: 'C' },
        ],
        laser_scan: { ranges: [2.5, 2.3, 2.1], angle_min: -1.57, angle_max: 1.57 },
        unknown: { kept: [1, null, 'ü'] },
      };
      expect(await here(`POST ${ROBOT}/status`, { status })).toEqual(
        done({ message: 'Status updated successfully', timestamp: INSTANT }),
      );
      expect(await here(`GET ${ROBOT}/status`)).toEqual(
        done({ robot_id: robotId, status, timestamp: INSTANT, received_at: INSTANT }),
      );
    });

    it('GET …/trajectory', async () => {
      const statuses = [
        { local_position: { x: 1, y: 2 } },
        { battery_level: 1 },
        { global_position: { latitude: 25, longitude: 121 } },
        { local_position: { x: 3, y: 4 }, global_position: { latitude: 26, longitude: 122 } },
      ];
      for (const [second, status] of statuses.entries()) {
        await here(`POST ${ROBOT}/status`, { status, timestamp: at(second) });
      }
      await here(`POST ${ROBOT}/status`, { status: statuses[0] });
      const range = { start: '2026-01-25T20:00:00+08:00', end: at(60) };
      expect(await here(`GET ${ROBOT}/trajectory`, range)).toEqual(
        done({
          robot_id: robotId,
          count: 3,
          path: [
            { x: 1, y: 2, lat: null, lng: null, timestamp: at(0) },
            { x: null, y: null, lat: 25, lng: 121, timestamp: at(2) },
            { x: 3, y: 4, lat: 26, lng: 122, timestamp: at(3) },
          ],
        }),
      );
      const { data } = await here(`GET ${ROBOT}/trajectory`);
      expect(data.path).toEqual([{ x: 1, y: 2, lat: null, lng: null, timestamp: INSTANT }]);
    });

    it('GET …/token', async () => {
      for (const [fields, identity] of [
        [undefined, owner.account_id],
        [{ identity: 'viewer 1' }, 'viewer 1'],
      ] as const) {
        const { status, data } = await here(`GET ${ROBOT}/token`, fields);
        expect({ status, data }).toMatchObject(
          done({ token: expect.any(String), host: 'http://localhost:7880', room: robotId }),
        );
        const claims = await new TokenVerifier('devkey', 'secret').verify(data.token);
        expect(claims).toMatchObject({ sub: identity, video: { room: robotId, roomJoin: true } });
      }
    });

    it('POST and GET …/logs', async () => {
      const lines = [
        { topic: 'navigation', message: 'one', level: 'info', timestamp: at(1) },
        { topic: 'sensor', message: 'two', level: 'warn', timestamp: at(2) },
        // Python's None.
        { topic: 'navigation', message: 'three', level: null, timestamp: null },
      ];
      for (const line of lines) {
        expect(await here(`POST ${ROBOT}/logs`, line)).toEqual(done({ status: 'logged' }));
      }
      const bad = { topic: 't', message: 'm', timestamp: 'yesterday' };
      expect((await here(`POST ${ROBOT}/logs`, bad)).status).toBe(400);
      const { data } = await here(`GET ${ROBOT}/logs`);
      expect(data).toMatchObject({ robot_id: robotId, count: 3 });
      const shown = { robot_id: robotId, account_id: owner.account_id, id: expect.any(Number) };
      expect(data.logs).toEqual([
        { ...lines[2], ...shown, timestamp: INSTANT, received_at: INSTANT },
        { ...lines[1], ...shown, received_at: INSTANT },
        { ...lines[0], ...shown, received_at: INSTANT },
      ]);
      const found = async (fields: Record<string, unknown>) =>
        (await here(`GET ${ROBOT}/logs`, fields)).data.logs;
      expect(await found({ topic: 'navigation' })).toEqual([data.logs[0], data.logs[2]]);
      expect(await found({ level: 'warn' })).toEqual([data.logs[1]]);
      expect(await found({ limit: 1 })).toEqual([data.logs[0]]);
      expect(await found({ limit: 1, before: data.logs[0].id })).toEqual([data.logs[1]]);
      expect(await found({ before: data.logs[2].id })).toEqual([]);
    });

    it('POST …/alert, GET /api/v1/alerts', async () => {
      const raise = { alert_type: 'low_battery', message: 'Battery level below 20%' };
      for (const severity of ['info', 'warning', 'error', 'critical']) {
        const none = { metadata: null, timestamp: null };
        expect(await here(`POST ${ROBOT}/alert`, { ...raise, ...none, severity })).toEqual(
          done({
            ...{ message: 'Alert received and stored', alert_id: expect.any(String) },
            robot_id: robotId,
          }),
        );
      }
      expect((await here(`POST ${ROBOT}/alert`, { ...raise, severity: 'fatal' })).status).toBe(400);
      const { data } = await call('GET /api/v1/alerts', { robot_id: robotId, status: 'active' });
      expect(data).toHaveLength(4);
      for (const alert of data) {
        expect(alert).toMatchObject({
          ...{ id: expect.any(String), robot_id: robotId, account_id: owner.account_id, ...raise },
          ...{ metadata: null, status: 'active', created_at: INSTANT },
          ...{ acknowledged_at: null, acknowledged_by: null, resolved_at: null },
        });
      }
    });

    it('GET /api/v1/alerts: 100 by default, 1,000 at most', async () => {
      const rest = restDoor(app, owner.token);
      const alert = { alert_type: 't', severity: 'info', message: 'm' };
      const raise = () => rest(`POST ${ROBOT}/alert`, alert, { robotId });
      await Promise.all(Array.from({ length: 101 }, raise));
      expect((await call('GET /api/v1/alerts')).data).toHaveLength(100);
      expect((await call('GET /api/v1/alerts', { limit: 1_000 })).data).toHaveLength(101);
    });

    it('POST …/control, GET …/control/logs', async () => {
      const command = { action: 'move_to', parameters: { x: 1, y: 2 }, ttl_seconds: 60 };
      const { status, data } = await here(`POST ${ROBOT}/control`, command);
      expect({ status, data }).toMatchObject(
        done({
          ...{ message: 'Command sent', command_id: expect.any(String), robot_id: robotId },
          ...{ action: 'move_to', status: 'queued' },
        }),
      );
      expect(Date.parse(data.expires_at) - Date.parse(data.created_at)).toBe(60_000);
      const { command_id } = (await here(`POST ${ROBOT}/control`, { action: 'dock' })).data;
      const log = await here(`GET ${ROBOT}/control/logs`, { limit: 1_000 });
      expect(log).toMatchObject(
        done({
          ...{ robot_id: robotId, count: 2 },
          logs: [
            { command_id, action: 'dock', parameters: {}, status: 'queued' },
            {
              ...{ command_id: data.command_id, action: 'move_to', parameters: { x: 1, y: 2 } },
              ...{ status: 'queued', issued_by: owner.account_id, created_at: INSTANT },
            },
          ],
        }),
      );
      const one = await here(`GET ${ROBOT}/control/logs`, { limit: 1 });
      expect(one.data.logs).toEqual(log.data.logs.slice(0, 1));
      expect((await here(`POST ${ROBOT}/control`, { action: 'fly' })).status).toBe(400);
      expect((await here(`POST ${ROBOT}/control`, { action: 'set_speed' })).status).toBe(400);
    });

    it.each([
      ...[`POST ${ROBOT}/status`, `GET ${ROBOT}/status`, `GET ${ROBOT}/trajectory`],
      ...[`GET ${ROBOT}/token`, `POST ${ROBOT}/logs`, `GET ${ROBOT}/logs`, `POST ${ROBOT}/alert`],
      ...[`POST ${ROBOT}/control`, `GET ${ROBOT}/control/logs`, `GET ${ROBOT}/control/next`],
      ...[`POST ${ROBOT}/map`, `POST ${ROBOT}/stop`, `POST ${ROBOT}/stop/clear`],
      `POST ${ROBOT}/control/{commandId}/ack`,
    ])('%s: 404 and 403', async (line) => {
      const fields = {
        ...{ topic: 't', message: 'm', alert_type: 't', severity: 'info', action: 'dock' },
        ...(line.endsWith('/status') ? { status: {} } : { status: 'received' }),
        map_id: 'm',
      };
      const given = line.startsWith('GET') ? undefined : fields;
      const params = { robotId, commandId: 'c' };
      const unknown = { status: 404, error: 'Robot not found' };
      expect(await call(line, given, { ...params, robotId: 'nobody' })).toEqual(unknown);
      const stranger = open(app, (await app().addAccount()).token);
      const denied = { status: 403, error: 'Access denied' };
      expect(await stranger(line, given, params)).toEqual(denied);
      const nobody = open(app, 'wrong');
      const unauthenticated = { status: 401, error: 'Invalid certification key' };
      expect(await nobody(line, given, params)).toEqual(unauthenticated);
    });
  });

  it('GET …/history, whole or the newest', async () => {
    const [rest, trpc] = [restDoor(app, owner.token), trpcDoor(app, owner.token)];
    for (const [second, battery_level] of [85, 84, 83].entries()) {
      const sample = { status: { battery_level }, timestamp: at(second) };
      await rest(`POST ${ROBOT}/status`, sample, { robotId });
    }
    const range = { start: at(0), end: at(2) };
    const { data } = await rest(`GET ${ROBOT}/history`, range, { robotId });
    expect(data).toEqual({
      ...{ robot_id: robotId, count: 3 },
      history: [85, 84, 83].map((battery_level, second) => ({
        ...{ id: expect.any(Number), robot_id: robotId, account_id: owner.account_id },
        ...{ status_json: `{"battery_level":${battery_level}}`, timestamp: at(second) },
        received_at: INSTANT,
      })),
    });
    const newest = await rest(`GET ${ROBOT}/history`, { limit: 2 }, { robotId });
    expect(newest.data).toMatchObject({ count: 2, history: [data.history[2], data.history[1]] });
    const page = await trpc(`GET ${ROBOT}/history`, range, { robotId });
    expect(page.data).toMatchObject({ robot_id: robotId, count: 3 });
    expect(page.data.history).toEqual(data.history.toReversed());
    const path = `/api/v1/robots/${robotId}/history`;
    const bare = await app().call('GET', path, undefined, owner.token);
    expectFailure(bare, 400, 'robotId, start, and end are required');
  });

  it('GET …/logs/subscribe: what a browser is given of one log, and nothing before it', async () => {
    const path = `/api/v1/robots/${robotId}/logs`;
    const reader = await openSse(`${app().url}${path}/subscribe?token=${owner.token}`);
    const line = { topic: 'navigation', message: 'Reached', level: 'info', timestamp: NOON };
    await app().call('POST', path, line, owner.token);
    const [event] = await reader.reach(1);
    expect(event).toMatchObject({
      ...{ id: expect.any(Number), robot_id: robotId, account_id: owner.account_id },
      ...line,
    });
    // An event with a name never reaches `onmessage`.
    const [block] = reader.blocks.filter(({ data }) => data !== undefined);
    expect(block).toEqual({ id: `${event.id}`, data: JSON.stringify(event) });
  });
});
