import { describe, expect, it } from 'vitest';
import { startApp, useApp } from '../support/app.js';
import { describeEachDatabase, testDatabases } from '../support/databases.js';
import { expectData, expectFailure, INSTANT } from '../support/rest.js';

const ROBOTS = '/api/v1/robots';
const at = (id: string) => `${ROBOTS}/${encodeURIComponent(id)}`;

describeEachDatabase('robots over REST', (kind) => {
  const app = useApp(kind);

  it('registers, lists, changes and deletes a robot', async () => {
    const { call } = app();
    const owner = await app().addAccount();
    const as = (method: string, path: string, body?: unknown) =>
      call(method, path, body, owner.token);
    expectData(
      await as('POST', ROBOTS, { robot_id: 'a1', robot_type: 'a type of my own', robot_name: 'A' }),
      { message: 'Robot registered successfully', robot_id: 'a1' },
    );
    const robot = {
      id: 'a1',
      account_id: owner.account_id,
      robot_type: 'a type of my own',
      robot_name: 'A',
      presence: 'offline',
      last_seen_at: null,
      presence_timeout_ms: null,
      active_map_id: null,
      stopped_at: null,
      stopped_by: null,
      created_at: INSTANT,
      updated_at: INSTANT,
    };
    expectData(await as('GET', ROBOTS), { robots: [robot], count: 1 });
    expectData(await as('GET', at('a1')), robot);
    const changed = { ...robot, robot_name: null, presence_timeout_ms: 5_000 };
    expectData(
      await as('PUT', at('a1'), { robot_name: null, presence_timeout_ms: 5_000 }),
      changed,
    );
    expectData(await as('PUT', at('a1'), {}), changed);
    expectData(await as('DELETE', at('a1'), { confirm: 'a1' }), {
      message: 'Robot deleted successfully',
      robot_id: 'a1',
    });
    expectFailure(await as('GET', at('a1')), 404, 'Robot not found');
    expectData(await as('GET', ROBOTS), { robots: [], count: 0 });
  });

  it('says that a robot of yours is there already, and that one of others is taken', async () => {
    const { call } = app();
    const other = await app().addAccount();
    const body = { robot_id: 'twice', robot_type: 'x' };
    await call('POST', ROBOTS, body);
    expectData(await call('POST', ROBOTS, { ...body, robot_type: 'y' }), {
      message: 'Robot already registered',
      robot_id: 'twice',
    });
    expect((await call('GET', at('twice'))).json.data.robot_type).toBe('x');
    expectFailure(await call('POST', ROBOTS, body, other.token), 409, 'Robot ID already taken');
  });

  it('shows nobody the robots of another account', async () => {
    const { call } = app();
    const other = await app().addAccount();
    await call('POST', ROBOTS, { robot_id: 'mine', robot_type: 'x' });
    expectData(await call('GET', ROBOTS, undefined, other.token), { robots: [], count: 0 });
    for (const [method, body] of [
      ['GET', undefined],
      ['PUT', { robot_name: 'stolen' }],
      ['DELETE', { confirm: 'mine' }],
    ] as const) {
      expectFailure(await call(method, at('mine'), body, other.token), 403, 'Access denied');
    }
    expect((await call('GET', at('mine'))).json.data.robot_name).toBeNull();
  });

  it.each([
    'with space',
    '100%',
    '%41',
    'größe-机器人-🤖',
    'quote\'"; drop table robots; --',
    'a?b=c&d#e',
    '..',
    'constructor',
    '__proto__',
    'x'.repeat(128),
  ])('takes the id %j as it is', async (id) => {
    const { call } = app();
    const body = { robot_id: id, robot_type: 'x' };
    expectData(await call('POST', ROBOTS, body), {
      message: 'Robot registered successfully',
      robot_id: id,
    });
    // A URL parser on the way resolves dots away, whatever is encoded.
    if (id === '..') return;
    expect((await call('GET', at(id))).json.data.id).toBe(id);
    await call('POST', `${at(id)}/status`, { status: { n: 1 } });
    expect((await call('GET', `${at(id)}/status`)).json.data).toMatchObject({
      robot_id: id,
      status: { n: 1 },
    });
  });

  it.each([
    ['', 'robot_id and robot_type are required'],
    ['a/b', 'robot_id: must not hold control characters or a slash'],
    ['a\nb', 'robot_id: must not hold control characters or a slash'],
    ['a\u0000', 'robot_id: must not hold control characters or a slash'],
    ['half \ud800', 'robot_id: must not hold control characters or a slash'],
    ['x'.repeat(129), /^robot_id: Too big/],
    [17, /^robot_id: Invalid input: expected string/],
    [null, /^robot_id: Invalid input: expected string/],
  ])('refuses the id %j', async (robot_id, sentence) => {
    expectFailure(await app().call('POST', ROBOTS, { robot_id, robot_type: 'x' }), 400, sentence);
  });

  it.each([
    [{}, 'robot_id and robot_type are required'],
    [{ robot_id: 'r' }, 'robot_id and robot_type are required'],
    [{ robot_id: 'r', robot_type: '' }, 'robot_id and robot_type are required'],
    [{ robot_id: 'r', robot_type: 'x', robot_name: 3 }, /^robot_name: /],
    [{ robot_id: 'r', robot_type: 'x', presence_timeout_ms: 999 }, /^presence_timeout_ms: /],
    [{ robot_id: 'r', robot_type: 'x', presence_timeout_ms: 1e300 }, /^presence_timeout_ms: /],
  ])('refuses to register %j', async (body, sentence) => {
    const answer = await app().call('POST', ROBOTS, body);
    expectFailure(answer, 400, sentence);
    expectFailure(await app().call('GET', at('r')), 404, 'Robot not found');
  });

  it('ignores members that it does not know', async () => {
    const body = '{"robot_id":"extra","robot_type":"x","color":1,"__proto__":{"a":1}}';
    expect((await app().call('POST', ROBOTS, body)).status).toBe(200);
  });

  it('deletes only what is confirmed', async () => {
    const { call } = app();
    await call('POST', ROBOTS, { robot_id: 'keep', robot_type: 'x' });
    expectFailure(await call('DELETE', at('keep')), 400, "confirm: must be the robot's id");
    expectFailure(
      await call('DELETE', at('keep'), { confirm: 'kept' }),
      400,
      "confirm: must be the robot's id, keep",
    );
    expect((await call('GET', at('keep'))).status).toBe(200);
  });
});

describe('the quota of robots', () => {
  const [sqlite] = testDatabases;
  const limits = { robots_per_account: 1 };

  it('refuses one too many, and names the limit', async () => {
    if (!sqlite) throw new Error('SQLite is always there');
    const { call } = await startApp(sqlite, { config: { limits } });
    await call('POST', ROBOTS, { robot_id: 'one', robot_type: 'x' });
    const refused = await call('POST', ROBOTS, { robot_id: 'two', robot_type: 'x' });
    expectFailure(refused, 403, 'Robot quota exceeded');
    expect(refused.json.limit).toBe('robots_per_account');
    expect((await call('POST', ROBOTS, { robot_id: 'one', robot_type: 'x' })).status).toBe(200);
  });

  it('has no room for two who come at once for the last place', async () => {
    if (!sqlite) throw new Error('SQLite is always there');
    const { call } = await startApp(sqlite, { config: { limits } });
    const ids = ['one', 'two', 'three'];
    const answers = await Promise.all(
      ids.map((robot_id) => call('POST', ROBOTS, { robot_id, robot_type: 'x' })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 403, 403]);
    expect((await call('GET', ROBOTS)).json.data.count).toBe(1);
  });

  it('does not apply when it is switched off', async () => {
    if (!sqlite) throw new Error('SQLite is always there');
    const features = { robot_quota_enabled: false };
    const { call } = await startApp(sqlite, { config: { limits, features } });
    for (const robot_id of ['one', 'two']) {
      expect((await call('POST', ROBOTS, { robot_id, robot_type: 'x' })).status).toBe(200);
    }
  });
});
