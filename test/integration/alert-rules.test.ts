import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/db/client.js';
import { alertDoors } from '../support/alert-doors.js';
import { type StartAppOptions, startApp, type TestApp, useApp } from '../support/app.js';
import { describeEachDatabase, type TestDatabase } from '../support/databases.js';
import { createLogBook, createStoppedClock } from '../support/identity.js';
import { INSTANT } from '../support/rest.js';
import { connect, type Reply } from '../support/trpc-client.js';
import { until } from '../support/until.js';

const NOON_MS = 1_769_342_400_000;
const TIMEOUT_MS = 10_000;
const RULE = { name: 'Low battery', condition: 'battery_level < 20', severity: 'warning' };
const restDoor = alertDoors[0]![1];
let robots = 0;

async function addRobot(app: TestApp, token?: string): Promise<string> {
  const robot_id = `robot-${++robots}`;
  await app.call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' }, token);
  return robot_id;
}

interface FoundAlert {
  id: string;
  robot_id: string;
  status: string;
  rule_id: string | null;
  created_at: string;
  message: string;
  [field: string]: unknown;
}

interface StageOptions extends Pick<StartAppOptions, 'log'> {
  clock?: ReturnType<typeof createStoppedClock>;
}

/** One account with one robot on a server whose time stands still. */
async function stage(
  over: Parameters<typeof startApp>[0],
  { clock = createStoppedClock(), log }: StageOptions = {},
) {
  const app = await startApp(over, {
    clock,
    config: { presence: { timeout: TIMEOUT_MS } },
    ...(log && { log }),
  });
  const door = restDoor(app);
  const robot_id = await addRobot(app);

  async function status(status: object, timestamp?: number, robot = robot_id) {
    const body = { status, ...(timestamp !== undefined && { timestamp }) };
    const answer = await app.call('POST', `/api/v1/robots/${robot}/status`, body);
    expect(answer.status).toBe(200);
  }
  /** The alerts of a rule, oldest first. */
  async function alerts(robot = robot_id): Promise<FoundAlert[]> {
    return (await door.list({ robot_id: robot })).data.alerts.reverse();
  }
  async function statuses(robot = robot_id): Promise<string[]> {
    return (await alerts(robot)).map((alert) => alert.status);
  }
  /** Waits until every sample so far has been judged: a rule of its own opens behind them. */
  async function settled() {
    const mark = `mark_${++marks}`;
    const probe = await addRobot(app);
    const rule = { name: mark, robot_id: probe, condition: `${mark} == 1`, severity: 'info' };
    const { data } = await door.createRule(rule);
    await status({ [mark]: 1 }, undefined, probe);
    await until('the probe', async () => (await alerts(probe)).length === 1);
    await door.deleteRule(data.id);
  }
  return { app, clock, door, robot_id, status, alerts, statuses, settled };
}
let marks = 0;

describeEachDatabase('alert rules', (kind) => {
  describe.each(alertDoors)('through %s', (_name, doorOf) => {
    const app = useApp(kind);

    it('are made, listed, changed and deleted', async () => {
      const { token } = await app().addAccount();
      const door = doorOf(app(), token);
      const robot_id = await addRobot(app(), token);
      const made = await door.createRule(RULE);
      expect(made).toEqual({
        status: 200,
        data: {
          ...RULE,
          id: expect.any(String),
          robot_id: null,
          clear_condition: null,
          for_seconds: 0,
          cooldown_minutes: 5,
          enabled: true,
          created_at: INSTANT,
          updated_at: made.data.created_at,
        },
      });
      const whole = {
        name: 'A hot motor',
        robot_id,
        condition: 'motors[0].temperature >= 80 and not presence == "offline"',
        clear_condition: 'motors[0].temperature < 70',
        severity: 'critical',
        for_seconds: 2.5,
        cooldown_minutes: 0.5,
        enabled: false,
      };
      const second = await door.createRule(whole);
      expect(second.data).toMatchObject(whole);
      expect(await door.getRule(second.data.id)).toEqual(second);
      expect(await door.listRules()).toEqual({
        status: 200,
        data: { rules: [second.data, made.data], count: 2 },
      });
      const changed = await door.updateRule(second.data.id, {
        robot_id: null,
        clear_condition: null,
        for_seconds: 0,
        enabled: true,
      });
      expect(changed.data).toEqual({
        ...second.data,
        robot_id: null,
        clear_condition: null,
        for_seconds: 0,
        enabled: true,
        updated_at: INSTANT,
      });
      expect(await door.getRule(second.data.id)).toEqual(changed);
      expect(await door.deleteRule(second.data.id)).toEqual({
        status: 200,
        data: { message: 'Alert rule deleted', rule_id: second.data.id },
      });
      expect((await door.listRules()).data).toEqual({ rules: [made.data], count: 1 });
      expect(await door.deleteRule(second.data.id)).toEqual({
        status: 404,
        error: 'Alert rule not found',
      });
    });

    it('of another account are not found, and cannot be about its robots', async () => {
      const { data } = await doorOf(app()).createRule(RULE);
      const robot_id = await addRobot(app());
      const stranger = doorOf(app(), (await app().addAccount()).token);
      const missing = { status: 404, error: 'Alert rule not found' };
      expect(await stranger.getRule(data.id)).toEqual(missing);
      expect(await stranger.updateRule(data.id, { name: 'mine' })).toEqual(missing);
      expect(await stranger.deleteRule(data.id)).toEqual(missing);
      expect((await stranger.listRules()).data.count).toBe(0);
      const denied = { status: 403, error: 'Access denied' };
      expect(await stranger.createRule({ ...RULE, robot_id })).toEqual(denied);
      const own = await stranger.createRule(RULE);
      expect(await stranger.updateRule(own.data.id, { robot_id })).toEqual(denied);
      expect(await stranger.createRule({ ...RULE, robot_id: 'nobody' })).toEqual({
        status: 404,
        error: 'Robot not found',
      });
      expect((await doorOf(app()).getRule(data.id)).data).toEqual(data);
    });

    it.each<[object, RegExp]>([
      [
        { condition: 'battery_level = 20' },
        /^condition: column 15: expected an operator such as <, == or and, but found "= 20"; to compare, write ==$/,
      ],
      [{ condition: 'constructor("x")()' }, /^condition: column 12: nothing can be called here$/],
      [{ condition: 'x'.repeat(1_001) }, /^condition: /],
      [{ clear_condition: 'battery_level' + ' + 1' }, /^clear_condition: column 1: /],
      [{ severity: 'fatal' }, /^severity: /],
      [{ for_seconds: -1 }, /^for_seconds: /],
      [{ cooldown_minutes: 10_081 }, /^cooldown_minutes: /],
      [{ name: 'x'.repeat(101) }, /^name: /],
    ])('are refused: %j', async (wrong, error) => {
      const refused = { status: 400, error: expect.stringMatching(error) };
      expect(await doorOf(app()).createRule({ ...RULE, ...wrong })).toEqual(refused);
      const { data } = await doorOf(app()).createRule(RULE);
      expect(await doorOf(app()).updateRule(data.id, wrong as never)).toEqual(refused);
      expect((await doorOf(app()).getRule(data.id)).data).toEqual(data);
    });

    it('are 200 at most', async () => {
      const door = doorOf(app(), (await app().addAccount()).token);
      const replies: Reply[] = [];
      for (let round = 0; round < 21; round += 1) {
        const some = Array.from({ length: 10 }, () => door.createRule(RULE));
        replies.push(...(await Promise.all(some)));
      }
      expect(replies.filter(({ status }) => status === 200)).toHaveLength(200);
      expect(replies.find(({ status }) => status !== 200)).toEqual({
        status: 403,
        error: 'An account has at most 200 alert rules; delete one first',
      });
      expect((await door.listRules()).data.count).toBe(200);
    });
  });

  it('open an alert when their condition holds, and resolve it when it does not', async () => {
    const { app, clock, door, robot_id, status, alerts, statuses } = await stage(kind);
    const { data: rule } = await door.createRule({ ...RULE, severity: 'error' });
    await status({ battery_level: 20 });
    await status({ battery_level: 19, mode: 'auto' });
    const [alert] = await until('the alert', async () => {
      const found = await alerts();
      return found.length > 0 && found;
    });
    expect(alert).toEqual({
      id: expect.any(String),
      robot_id,
      account_id: app.admin.account_id,
      alert_type: 'rule',
      severity: 'error',
      message: `Rule "Low battery" on ${robot_id}: battery_level < 20 (battery_level: 19)`,
      metadata: {
        rule: 'Low battery',
        condition: 'battery_level < 20',
        values: { battery_level: 19 },
        recorded_at: '2026-01-25T12:00:00.000Z',
      },
      status: 'active',
      count: 1,
      dedup_key: `rule:${rule.id}`,
      rule_id: rule.id,
      created_at: '2026-01-25T12:00:00.000Z',
      last_seen_at: '2026-01-25T12:00:00.000Z',
      acknowledged_at: null,
      acknowledged_by: null,
      resolved_at: null,
      resolved_by: null,
    });
    await door.acknowledge(alert!.id);
    clock.advance(1_000);
    await status({ battery_level: 18 });
    await status({ battery_level: 50 });
    await until('the end', async () => (await statuses())[0] === 'resolved');
    expect(await alerts()).toMatchObject([
      { count: 1, resolved_by: 'rule', resolved_at: '2026-01-25T12:00:01.000Z' },
    ]);
  });

  it('judge what arrives over tRPC and in batches, each sample in the order of its time', async () => {
    const { app, door, robot_id, status, alerts, settled } = await stage(kind);
    await door.createRule({ ...RULE, cooldown_minutes: 0 });
    const sample = (second: number, battery_level: number) => ({
      status: { battery_level },
      timestamp: NOON_MS - 60_000 + second * 1_000,
    });
    const path = `/api/v1/robots/${robot_id}/status/batch`;
    const samples = [sample(3, 30), sample(1, 15), sample(2, 12)];
    await app.call('POST', path, { samples });
    await until('both turns', async () => (await alerts())[0]?.status === 'resolved');
    expect(await alerts()).toMatchObject([
      { metadata: { values: { battery_level: 15 }, recorded_at: '2026-01-25T11:59:01.000Z' } },
    ]);
    // Repeats and what is older than the newest change nothing.
    await app.call('POST', path, { samples });
    await app.call('POST', path, { samples: [sample(2.5, 1)] });
    await status({ battery_level: 1 }, NOON_MS - 59_500);
    await settled();
    expect(await alerts()).toHaveLength(1);
    await connect(app, app.admin.token).status.push.mutate({
      robot_id,
      status: { battery_level: 5 },
    });
    await until('the second alert', async () => (await alerts()).length === 2);
  });

  it('are about one robot or about all, and about the own account alone', async () => {
    const { app, door, robot_id, status, alerts, settled } = await stage(kind);
    const other = await addRobot(app);
    const stranger = await app.addAccount();
    const foreign = await addRobot(app, stranger.token);
    const { data: one } = await door.createRule({ ...RULE, name: 'one', robot_id });
    const { data: all } = await door.createRule({ ...RULE, name: 'all' });
    for (const [robot, token] of [[robot_id], [other], [foreign, stranger.token]] as const) {
      const body = { status: { battery_level: 1 } };
      await app.call('POST', `/api/v1/robots/${robot}/status`, body, token);
    }
    await settled();
    const rulesOf = async (robot: string) => (await alerts(robot)).map(({ rule_id }) => rule_id);
    expect((await rulesOf(robot_id)).sort()).toEqual([one.id, all.id].sort());
    expect(await rulesOf(other)).toEqual([all.id]);
    expect((await restDoor(app, stranger.token).list()).data.alerts).toEqual([]);
    await status({ battery_level: 2 });
    await settled();
    expect(await rulesOf(robot_id)).toHaveLength(2);
  });

  it('wait until the condition has held for long enough, by the time of the robot', async () => {
    const { door, status, alerts, settled } = await stage(kind);
    await door.createRule({ ...RULE, for_seconds: 10 });
    const at = (ms: number) => NOON_MS - 100_000 + ms;
    await status({ battery_level: 10 }, at(0));
    await status({ battery_level: 10 }, at(9_999));
    await status({ battery_level: 40 }, at(10_500));
    await status({ battery_level: 10 }, at(11_000));
    await status({ note: 'nothing of the battery' }, at(15_000));
    await status({ battery_level: 10 }, at(20_999));
    await settled();
    expect(await alerts()).toEqual([]);
    await status({ battery_level: 11 }, at(21_000));
    await until('the alert', async () => (await alerts()).length === 1);
  });

  it('resolve by their clear condition, and stay while a value is missing', async () => {
    const { door, status, statuses, settled } = await stage(kind);
    await door.createRule({ ...RULE, clear_condition: 'battery_level > 25' });
    await status({ battery_level: 10 });
    await until('the alert', async () => (await statuses())[0] === 'active');
    for (const battery_level of [22, 25, undefined, '99']) await status({ battery_level });
    await settled();
    expect(await statuses()).toEqual(['active']);
    await status({ battery_level: 26 });
    await until('the end', async () => (await statuses())[0] === 'resolved');
  });

  it('rest for their cooldown, then open again if the condition still holds', async () => {
    const { clock, door, status, alerts, statuses, settled } = await stage(kind);
    await door.createRule({ ...RULE, cooldown_minutes: 2 });
    await status({ battery_level: 10 });
    await until('the alert', async () => (await statuses())[0] === 'active');
    await status({ battery_level: 30 });
    await until('the end', async () => (await statuses())[0] === 'resolved');
    clock.advance(119_999);
    await status({ battery_level: 10 });
    await settled();
    expect(await statuses()).toEqual(['resolved']);
    clock.advance(1);
    await status({ battery_level: 9 });
    await until('the second alert', async () => (await alerts()).length === 2);
    expect(await alerts()).toMatchObject([
      { created_at: '2026-01-25T12:00:00.000Z' },
      { created_at: '2026-01-25T12:02:00.000Z', status: 'active' },
    ]);
  });

  it('open again after their cooldown when somebody resolved the alert all the same', async () => {
    const { clock, door, status, alerts, statuses, settled } = await stage(kind);
    await door.createRule({ ...RULE, cooldown_minutes: 1 });
    await status({ battery_level: 10 });
    const [first] = await until('the alert', async () => {
      const found = await alerts();
      return found.length > 0 && found;
    });
    await door.resolve(first!.id);
    await status({ battery_level: 9 });
    await settled();
    expect(await statuses()).toEqual(['resolved']);
    clock.advance(60_000);
    await status({ battery_level: 8 });
    await until('the second alert', async () => (await alerts()).length === 2);
  });

  it('resolve what they opened when they are switched off, moved or deleted', async () => {
    const { app, door, robot_id, status, alerts, statuses, settled } = await stage(kind);
    const other = await addRobot(app);
    const { data: rule } = await door.createRule({ ...RULE, cooldown_minutes: 0 });
    const bothLow = async () => {
      await status({ battery_level: 5 });
      await status({ battery_level: 5 }, undefined, other);
    };
    const open = async (robot: string) =>
      (await statuses(robot)).filter((state) => state === 'active').length;
    const bothOpen = async () => (await open(robot_id)) === 1 && (await open(other)) === 1;

    await bothLow();
    await until('both alerts', bothOpen);
    await door.updateRule(rule.id, { enabled: false });
    expect([await open(robot_id), await open(other)]).toEqual([0, 0]);
    expect((await alerts())[0]).toMatchObject({ resolved_by: app.admin.account_id });
    await bothLow();
    await settled();
    expect([await open(robot_id), await open(other)]).toEqual([0, 0]);

    await door.updateRule(rule.id, { enabled: true });
    await bothLow();
    await until('both alerts again', bothOpen);
    await door.updateRule(rule.id, { robot_id });
    expect([await open(robot_id), await open(other)]).toEqual([1, 0]);
    await bothLow();
    await settled();
    expect([await open(robot_id), await open(other)]).toEqual([1, 0]);

    await door.deleteRule(rule.id);
    expect(await open(robot_id)).toBe(0);
    await bothLow();
    await settled();
    expect(await open(robot_id)).toBe(0);
  });

  it('are judged by their newest words at once', async () => {
    const { door, status, statuses, settled } = await stage(kind);
    const { data: rule } = await door.createRule({ ...RULE, cooldown_minutes: 0 });
    await status({ battery_level: 15 });
    await until('the alert', async () => (await statuses())[0] === 'active');
    await door.updateRule(rule.id, { condition: 'battery_level < 10' });
    expect(await statuses()).toEqual(['active']);
    await status({ battery_level: 15 });
    await until('the end', async () => (await statuses())[0] === 'resolved');
    await status({ battery_level: 11 });
    await settled();
    expect(await statuses()).toEqual(['resolved']);
  });

  it('do not get in the way of statuses when no alert can be stored, and try again', async () => {
    const database = await kind.create();
    onTestFinished(database.dispose);
    const { lines, log } = createLogBook();
    const { clock, door, status, alerts } = await stage(database, { log });
    await door.createRule(RULE);
    const { db, close } = await openDatabase(database.config);
    onTestFinished(close);
    await sql`alter table alerts rename to alerts_away`.execute(db);
    await status({ battery_level: 10 });
    await until('the failure', () => lines.some((line) => line.includes('a rule could not act')));
    await status({ battery_level: 9 });
    await sql`alter table alerts_away rename to alerts`.execute(db);
    clock.advance(5_000);
    await status({ battery_level: 8 });
    await until('the alert', async () => (await alerts()).length === 1);
    expect(lines.filter((line) => line.includes('a rule could not act'))).toHaveLength(1);
  });

  describe('of presence', () => {
    const OFFLINE = { name: 'Offline', condition: 'presence == "offline"', severity: 'error' };

    it('open when a robot falls silent, and resolve when it is back', async () => {
      const { clock, door, robot_id, status, alerts, statuses } = await stage(kind);
      await door.createRule(OFFLINE);
      await status({ battery_level: 50 });
      clock.advance(TIMEOUT_MS * 3 - 1);
      expect(await statuses()).toEqual([]);
      clock.advance(1_000);
      await until('the alert', async () => (await statuses())[0] === 'active');
      expect((await alerts())[0]).toMatchObject({
        severity: 'error',
        message: `Rule "Offline" on ${robot_id}: presence == "offline" (presence: "offline")`,
        metadata: { values: { presence: 'offline' }, recorded_at: '2026-01-25T12:00:00.000Z' },
        created_at: '2026-01-25T12:00:30.999Z',
      });
      await status({ battery_level: 49 });
      await until('the end', async () => (await statuses())[0] === 'resolved');
    });

    it('go by the time of the server when they wait', async () => {
      const { clock, door, status, statuses, settled } = await stage(kind);
      await door.createRule({ ...OFFLINE, condition: 'presence != "online"', for_seconds: 60 });
      await status({ battery_level: 50 });
      clock.advance(TIMEOUT_MS);
      await settled();
      for (let second = 1; second < 60; second += 1) clock.advance(1_000);
      await settled();
      expect(await statuses()).toEqual([]);
      clock.advance(1_000);
      await until('the alert', async () => (await statuses())[0] === 'active');
    });

    it('see robots that are offline already, but none that was never heard of', async () => {
      const { app, clock, door, status, statuses, settled } = await stage(kind);
      const unheard = await addRobot(app);
      await status({ battery_level: 50 });
      clock.advance(TIMEOUT_MS * 4);
      await door.createRule(OFFLINE);
      await until('the alert', async () => (await statuses())[0] === 'active');
      await settled();
      expect(await statuses(unheard)).toEqual([]);
    });

    it('give robots time to come back after a restart', async () => {
      const database = await kind.create();
      onTestFinished(database.dispose);
      const before = await stage(database);
      const { robot_id: back } = before;
      const gone = await addRobot(before.app);
      await before.door.createRule(OFFLINE);
      for (const robot of [back, gone]) await before.status({}, undefined, robot);
      await before.app.close();

      const clock = createStoppedClock();
      clock.advance(TIMEOUT_MS * 10);
      const { app, status, statuses, settled } = await stage(database, { clock });
      expect((await app.call('GET', `/api/v1/robots/${gone}`)).json.data.presence).toBe('offline');
      clock.advance(TIMEOUT_MS * 2);
      await status({}, undefined, back);
      await settled();
      expect([await statuses(back), await statuses(gone)]).toEqual([[], []]);
      clock.advance(TIMEOUT_MS);
      await until('the alert', async () => (await statuses(gone))[0] === 'active');
      expect(await statuses(back)).toEqual([]);
    });
  });

  describe('after a restart', () => {
    async function restarted(database: TestDatabase, elapsedMs: number) {
      const clock = createStoppedClock();
      clock.advance(elapsedMs);
      return stage(database, { clock });
    }
    async function withOpenAlert() {
      const database = await kind.create();
      onTestFinished(database.dispose);
      const before = await stage(database);
      await before.door.createRule({ ...RULE, cooldown_minutes: 5 });
      await before.status({ battery_level: 10 });
      await until('the alert', async () => (await before.statuses())[0] === 'active');
      await before.app.close();
      return { database, robot: before.robot_id };
    }

    it('know which alerts are open, and resolve them', async () => {
      const { database, robot } = await withOpenAlert();
      const { status, alerts, settled } = await restarted(database, 600_000);
      await status({ battery_level: 9 }, undefined, robot);
      await settled();
      expect(await alerts(robot)).toMatchObject([{ status: 'active', count: 1 }]);
      await status({ battery_level: 90 }, undefined, robot);
      await until('the end', async () => (await alerts(robot))[0]?.status === 'resolved');
    });

    it('resolve what was left open by a rule that is no longer in force', async () => {
      const { database, robot } = await withOpenAlert();
      const { db, close } = await openDatabase(database.config);
      await db.updateTable('alert_rules').set({ enabled: 0 }).execute();
      await close();
      const { alerts } = await restarted(database, 60_000);
      expect(await alerts(robot)).toMatchObject([{ status: 'resolved', resolved_by: 'rule' }]);
    });

    it('remember the cooldown', async () => {
      const { database, robot } = await withOpenAlert();
      const { clock, status, statuses, settled } = await restarted(database, 60_000);
      await status({ battery_level: 90 }, undefined, robot);
      await until('the end', async () => (await statuses(robot))[0] === 'resolved');
      await status({ battery_level: 9 }, undefined, robot);
      await settled();
      expect(await statuses(robot)).toEqual(['resolved']);
      clock.advance(240_000);
      await status({ battery_level: 9 }, undefined, robot);
      await until('the second alert', async () => (await statuses(robot)).length === 2);
    });
  });
});
