import { EventSource } from 'eventsource';
import { describe, expect, it, onTestFinished } from 'vitest';
import { alertDoors } from '../support/alert-doors.js';
import { startApp, type TestApp, useApp } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { expectData, expectFailure, INSTANT } from '../support/rest.js';
import { connect } from '../support/trpc-client.js';
import { until } from '../support/until.js';

const ALERT = { alert_type: 'low_battery', severity: 'warning', message: 'Battery below 20%' };
const UUID = expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
let robots = 0;

async function addRobot(app: TestApp, token?: string): Promise<string> {
  const robot_id = `robot-${++robots}`;
  await app.call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' }, token);
  return robot_id;
}

describeEachDatabase('alerts', (kind) => {
  const app = useApp(kind);

  describe.each(alertDoors)('through %s', (_name, doorOf) => {
    it('are stored as active, once each without a dedup key', async () => {
      const robot_id = await addRobot(app());
      const door = doorOf(app());
      const metadata = { battery_level: 15, nested: { list: [1, null] } };
      const first = await door.submit(robot_id, { ...ALERT, metadata });
      expect(first).toEqual({
        status: 200,
        data: { message: 'Alert received and stored', alert_id: UUID, robot_id },
      });
      const second = await door.submit(robot_id, ALERT);
      expect(second.data.alert_id).not.toBe(first.data.alert_id);
      const { data } = await door.list({ robot_id });
      expect(data.alerts).toHaveLength(2);
      const stored = await door.get(first.data.alert_id);
      expect(stored).toEqual({
        status: 200,
        data: {
          ...ALERT,
          id: first.data.alert_id,
          robot_id,
          account_id: app().admin.account_id,
          metadata,
          status: 'active',
          count: 1,
          dedup_key: null,
          rule_id: null,
          created_at: INSTANT,
          last_seen_at: stored.data.created_at,
          acknowledged_at: null,
          acknowledged_by: null,
          resolved_at: null,
          resolved_by: null,
        },
      });
      expect(data.alerts).toContainEqual(stored.data);
    });

    it('keep the time of the robot', async () => {
      const robot_id = await addRobot(app());
      const door = doorOf(app());
      const { data } = await door.submit(robot_id, {
        ...ALERT,
        timestamp: '2026-01-25T20:00:00+08:00',
      });
      const created_at = '2026-01-25T12:00:00.000Z';
      expect((await door.get(data.alert_id)).data).toMatchObject({
        created_at,
        last_seen_at: created_at,
      });
    });

    it('are counted as repeats while one is open under their key', async () => {
      const [robot_id, other] = [await addRobot(app()), await addRobot(app())];
      const door = doorOf(app());
      const keyed = { ...ALERT, dedup_key: 'battery' };
      const submit = async (more: object = {}, robot = robot_id) =>
        (await door.submit(robot, { ...keyed, ...more })).data.alert_id as string;
      const id = await submit({ timestamp: 1_769_342_400_000, metadata: { n: 1 } });
      expect(await submit({ timestamp: 1_769_342_460_000, severity: 'critical' })).toBe(id);
      const late = { timestamp: 1_769_342_430_000, severity: 'info', message: 'still low' };
      expect(await submit(late)).toBe(id);
      expect((await door.get(id)).data).toMatchObject({
        count: 3,
        created_at: '2026-01-25T12:00:00.000Z',
        last_seen_at: '2026-01-25T12:01:00.000Z',
        severity: 'critical',
        message: 'still low',
        metadata: { n: 1 },
        dedup_key: 'battery',
        status: 'active',
      });
      await door.acknowledge(id);
      expect(await submit()).toBe(id);
      expect((await door.get(id)).data).toMatchObject({ count: 4, status: 'acknowledged' });
      expect(await submit({ dedup_key: 'motor' })).not.toBe(id);
      expect(await submit({}, other)).not.toBe(id);
      await door.resolve(id);
      const next = await submit();
      expect(next).not.toBe(id);
      expect((await door.get(next)).data).toMatchObject({ count: 1, status: 'active' });
      expect((await door.get(id)).data).toMatchObject({ count: 4, status: 'resolved' });
    });

    it('open one alert, however many are submitted under one key at once', async () => {
      const robot_id = await addRobot(app());
      const door = doorOf(app());
      for (let round = 1; round <= 5; round += 1) {
        const replies = await Promise.all(
          Array.from({ length: 10 }, () => door.submit(robot_id, { ...ALERT, dedup_key: 'k' })),
        );
        const ids = new Set(replies.map(({ data }) => data.alert_id));
        expect(ids.size).toBe(1);
        const [id] = ids;
        expect((await door.get(id)).data.count).toBe(10);
        await door.resolve(id);
        expect((await door.list({ robot_id })).data.alerts).toHaveLength(round);
      }
    });

    it('are acknowledged and resolved, and repeating that gives the same answer', async () => {
      const robot_id = await addRobot(app());
      const door = doorOf(app());
      const { alert_id } = (await door.submit(robot_id, ALERT)).data;
      const acknowledged = await door.acknowledge(alert_id);
      expect(acknowledged).toEqual({
        status: 200,
        data: { alert_id, status: 'acknowledged', acknowledged_at: INSTANT },
      });
      expect(await door.acknowledge(alert_id)).toEqual(acknowledged);
      const { account_id } = app().admin;
      expect((await door.get(alert_id)).data).toMatchObject({
        status: 'acknowledged',
        acknowledged_at: acknowledged.data.acknowledged_at,
        acknowledged_by: account_id,
      });
      const resolved = await door.resolve(alert_id);
      expect(resolved).toEqual({
        status: 200,
        data: { alert_id, status: 'resolved', resolved_at: INSTANT },
      });
      expect(await door.resolve(alert_id)).toEqual(resolved);
      expect((await door.get(alert_id)).data).toMatchObject({
        status: 'resolved',
        acknowledged_at: acknowledged.data.acknowledged_at,
        resolved_at: resolved.data.resolved_at,
        resolved_by: account_id,
      });
      expect(await door.acknowledge(alert_id)).toEqual({
        status: 409,
        error: 'This alert is resolved',
      });
    });

    it('are not found when there is none, or it is of another account', async () => {
      const robot_id = await addRobot(app());
      const { alert_id } = (await doorOf(app()).submit(robot_id, ALERT)).data;
      const stranger = doorOf(app(), (await app().addAccount()).token);
      for (const id of [alert_id, 'no-such-alert']) {
        for (const verb of ['get', 'acknowledge', 'resolve'] as const) {
          expect(await stranger[verb](id)).toEqual({ status: 404, error: 'Alert not found' });
        }
      }
      expect((await stranger.list()).data.alerts).toEqual([]);
      expect(await stranger.list({ robot_id })).toEqual({ status: 403, error: 'Access denied' });
      expect(await stranger.list({ robot_id: 'nobody' })).toEqual({
        status: 404,
        error: 'Robot not found',
      });
      expect((await doorOf(app()).get(alert_id)).data.status).toBe('active');
    });

    it('are listed newest first, filtered, page by page', async () => {
      const { token } = await app().addAccount();
      const [a, b] = [await addRobot(app(), token), await addRobot(app(), token)];
      const door = doorOf(app(), token);
      const ids: string[] = [];
      for (let at = 0; at < 12; at += 1) {
        const reply = await door.submit(at % 3 === 0 ? b : a, {
          ...ALERT,
          alert_type: at % 2 === 0 ? 'even' : 'odd',
          severity: at < 4 ? 'critical' : 'info',
          // Four at a time share an instant.
          timestamp: 1_769_342_400_000 + Math.floor(at / 4) * 1_000,
        });
        ids.push(reply.data.alert_id);
      }
      await door.acknowledge(ids[1]!);
      await door.resolve(ids[2]!);
      const listed = async (query: Record<string, unknown>) => {
        const { data } = await door.list(query);
        return (data.alerts as { id: string }[]).map(({ id }) => ids.indexOf(id));
      };
      const all = await listed({});
      expect([...all].sort((x, y) => x - y)).toEqual(ids.map((_, at) => at));
      expect(all.map((at) => Math.floor(at / 4))).toEqual([2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0]);
      const sorted = async (query: Record<string, unknown>) =>
        (await listed(query)).sort((x, y) => x - y);
      expect(await sorted({ robot_id: b })).toEqual([0, 3, 6, 9]);
      expect(await sorted({ alert_type: 'odd' })).toEqual([1, 3, 5, 7, 9, 11]);
      expect(await sorted({ severity: 'critical' })).toEqual([0, 1, 2, 3]);
      expect(await sorted({ status: 'acknowledged' })).toEqual([1]);
      expect(await sorted({ status: 'resolved' })).toEqual([2]);
      expect(await sorted({ status: 'active', severity: 'critical', robot_id: b })).toEqual([0, 3]);

      for (const limit of [1, 3, 5, 12, 13]) {
        const seen: number[] = [];
        let cursor: string | null = null;
        do {
          const { data } = await door.list({ limit, ...(cursor !== null && { cursor }) });
          seen.push(...data.alerts.map(({ id }: { id: string }) => ids.indexOf(id)));
          cursor = data.next_cursor;
        } while (cursor !== null);
        expect(seen).toEqual(all);
      }
    });

    it.each<[object, RegExp]>([
      [{ severity: 'fatal' }, /^severity: /],
      [{ message: 'x'.repeat(10_001) }, /^message: /],
      [{ metadata: [] }, /^metadata: /],
      [{ metadata: { pad: 'x'.repeat(16_384) } }, /^metadata: must be at most 16384 characters/],
      [{ timestamp: 'yesterday' }, /^timestamp: /],
      [{ dedup_key: 'rule:1' }, /^dedup_key: must not begin with rule:$/],
      [{ dedup_key: 'x'.repeat(201) }, /^dedup_key: /],
    ])('are refused: %j', async (wrong, error) => {
      const robot_id = await addRobot(app());
      const reply = await doorOf(app()).submit(robot_id, { ...ALERT, ...wrong });
      expect(reply).toEqual({ status: 400, error: expect.stringMatching(error) });
    });

    it.each<[object, RegExp]>([
      [{ status: 'open' }, /^status: /],
      [{ severity: 'fatal' }, /^severity: /],
      [{ limit: 0 }, /^limit: /],
      [{ limit: 1_001 }, /^limit: /],
      [{ cursor: 'nonsense' }, /^cursor: is not one that this server gave out$/],
      [{ cursor: '1.' }, /^cursor: is not one that this server gave out$/],
    ])('are not listed by %j', async (query, error) => {
      expect(await doorOf(app()).list(query as Record<string, unknown>)).toEqual({
        status: 400,
        error: expect.stringMatching(error),
      });
    });
  });

  it('are an array, and what a form leaves empty filters nothing', async () => {
    const robot_id = await addRobot(app());
    await app().call('POST', `/api/v1/robots/${robot_id}/alert`, ALERT);
    const plain = await app().call('GET', `/api/v1/alerts?robot_id=${robot_id}`);
    expectData(plain, [expect.objectContaining({ robot_id, status: 'active' })]);
    const empty = await app().call(
      'GET',
      `/api/v1/alerts?robot_id=${robot_id}&status=&severity=&alert_type=&cursor=`,
    );
    expect(empty.json).toEqual(plain.json);
    expect(plain.headers.get('access-control-expose-headers')).toContain('X-Next-Cursor');
  });

  it('need what the contract says', async () => {
    const robot_id = await addRobot(app());
    const answer = await app().call('POST', `/api/v1/robots/${robot_id}/alert`, { message: 'm' });
    expectFailure(answer, 400, 'alert_type, severity and message are required');
  });

  it('mark their robot as seen', async () => {
    const robot_id = await addRobot(app());
    const presence = async () =>
      (await app().call('GET', `/api/v1/robots/${robot_id}`)).json.data.presence;
    expect(await presence()).toBe('offline');
    await app().call('POST', `/api/v1/robots/${robot_id}/alert`, ALERT);
    expect(await presence()).toBe('online');
  });

  it('are for those who may: a robot raises, a reader reads, only managers decide', async () => {
    const robot_id = await addRobot(app());
    const path = `/api/v1/robots/${robot_id}/alert`;
    const keyOf = async (key: object) =>
      (await app().call('POST', '/api/v1/keys', { name: 'k', ...key })).json.data.key as string;
    const [robot, reader] = [await keyOf({ robot_id }), await keyOf({ scopes: ['alerts:read'] })];
    const raised = await app().call('POST', path, ALERT, robot);
    expect(raised.status).toBe(200);
    const id = raised.json.data.alert_id;
    expectFailure(await app().call('POST', path, ALERT, reader), 403);
    expect((await app().call('GET', `/api/v1/alerts/${id}`, undefined, reader)).status).toBe(200);
    for (const token of [robot, reader]) {
      for (const verb of ['acknowledge', 'resolve']) {
        const answer = await app().call('POST', `/api/v1/alerts/${id}/${verb}`, undefined, token);
        expectFailure(answer, 403, 'This key lacks the scope alerts:manage');
      }
    }
  });

  it('are gone with their robot', async () => {
    const robot_id = await addRobot(app());
    const door = alertDoors[0]![1](app());
    const { alert_id } = (await door.submit(robot_id, ALERT)).data;
    await app().call('DELETE', `/api/v1/robots/${robot_id}`, { confirm: robot_id });
    await until('the alert to be gone', async () => (await door.get(alert_id)).status === 404);
  });

  async function watched(token: string, lastEventId?: string, robot_ids?: string[]) {
    const items: { id: string; data: Record<string, unknown> }[] = [];
    let error: unknown;
    const subscription = connect(app(), token).alerts.live.subscribe(
      { ...(lastEventId && { lastEventId }), ...(robot_ids && { robot_ids }) },
      {
        onData: (item) => void items.push(item as never),
        onError: (reason) => {
          error = reason;
        },
      },
    );
    onTestFinished(() => subscription.unsubscribe());
    await until('the start', () => items.length > 0 || error !== undefined);
    return { items, stop: () => subscription.unsubscribe(), error: () => error };
  }

  it('are told live as they change, and again from a cursor', async () => {
    const { token } = await app().addAccount();
    const [robot_id, other] = [await addRobot(app(), token), await addRobot(app(), token)];
    const door = alertDoors[1]![1](app(), token);
    const { items, stop } = await watched(token);
    expect(items[0]?.data).toMatchObject({ type: 'start' });
    const keyed = { ...ALERT, dedup_key: 'k' };
    const { alert_id } = (await door.submit(robot_id, keyed)).data;
    await door.submit(robot_id, keyed);
    await door.submit(robot_id, { ...keyed, severity: 'critical' });
    await door.acknowledge(alert_id);
    await door.acknowledge(alert_id);
    await until('four changes', () => items.length === 5);
    stop();
    await door.resolve(alert_id);
    await door.resolve(alert_id);
    await door.submit(other, ALERT);

    const resumed = await watched(token, items.at(-1)?.id);
    await until('the rest', () => resumed.items.filter(({ data }) => data.change).length === 2);
    const changes = [...items, ...resumed.items].map(({ data }) => data).filter((d) => d.change);
    expect(changes).toMatchObject([
      { type: 'alert', change: 'opened', robot_id, id: alert_id, count: 1, status: 'active' },
      { change: 'repeated', count: 2 },
      { change: 'escalated', count: 3, severity: 'critical' },
      { change: 'acknowledged', status: 'acknowledged' },
      { change: 'resolved', status: 'resolved' },
      { change: 'opened', robot_id: other },
    ]);
    const { type, change, ...alert } = changes[4]!;
    expect({ type, change, alert }).toEqual({
      type: 'alert',
      change: 'resolved',
      alert: (await door.get(alert_id)).data,
    });

    const one = await watched(token, items[0]?.id, [other]);
    await until('the one change', () => one.items.some(({ data }) => data.change));
    expect(one.items.map(({ data }) => data).filter((d) => d.change)).toMatchObject([
      { change: 'opened', robot_id: other },
    ]);
  });

  it('are told to their own account alone', async () => {
    const [mine, other] = [await app().addAccount(), await app().addAccount()];
    const [robot_id, foreign] = [
      await addRobot(app(), mine.token),
      await addRobot(app(), other.token),
    ];
    const { items } = await watched(mine.token);
    await alertDoors[0]![1](app(), other.token).submit(foreign, ALERT);
    await alertDoors[0]![1](app(), mine.token).submit(robot_id, ALERT);
    await until('my alert', () => items.some(({ data }) => data.change));
    expect(items.map(({ data }) => data.robot_id).filter(Boolean)).toEqual([robot_id]);
    const refused = await watched(mine.token, undefined, [foreign]);
    expect(refused.error()).toMatchObject({ data: { httpStatus: 403 } });
  });

  it('are told over server-sent events, which resume', async () => {
    const { token } = await app().addAccount();
    const robot_id = await addRobot(app(), token);
    const door = alertDoors[0]![1](app(), token);
    const url = `${app().url}/api/v1/alerts/subscribe?token=${token}`;
    const open = async (query = '') => {
      const seen: { id: string; data: Record<string, unknown> }[] = [];
      const source = new EventSource(url + query);
      onTestFinished(() => source.close());
      source.onmessage = ({ lastEventId, data }) =>
        void seen.push({ id: lastEventId, data: JSON.parse(data) });
      await until('the stream', () => source.readyState === EventSource.OPEN);
      return { seen, source };
    };
    const first = await open();
    const { alert_id } = (await door.submit(robot_id, ALERT)).data;
    await until('the alert', () => first.seen.length === 1);
    const alert = (await door.get(alert_id)).data;
    expect(first.seen[0]?.data).toEqual({ type: 'alert', change: 'opened', ...alert });
    first.source.close();
    await door.acknowledge(alert_id);
    const second = await open(`&last_event_id=${first.seen[0]?.id}&robot_id=${robot_id}`);
    await until('what was missed', () => second.seen.length === 1);
    expect(second.seen[0]?.data).toMatchObject({ change: 'acknowledged', id: alert_id });
  });
});

describeEachDatabase('two servers on one database', (kind) => {
  it.skipIf(kind.dialect === 'sqlite')('open one alert between them', async () => {
    const database = await kind.create();
    onTestFinished(database.dispose);
    const apps = [await startApp(database), await startApp(database)];
    const robot_id = await addRobot(apps[0]!);
    const path = `/api/v1/robots/${robot_id}/alert`;
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, at) =>
        apps[at % 2]!.call('POST', path, { ...ALERT, dedup_key: 'k' }),
      ),
    );
    const ids = new Set(answers.map(({ json }) => json.data.alert_id));
    expect(ids.size).toBe(1);
    const { json } = await apps[1]!.call('GET', `/api/v1/alerts?robot_id=${robot_id}`);
    expect(json.data).toMatchObject([{ count: 40 }]);
  });
});
