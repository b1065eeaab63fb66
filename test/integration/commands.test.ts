import { beforeEach, describe, expect, it } from 'vitest';
import { type Account, startApp, useApp } from '../support/app.js';
import { type CommandDoor, commandDoors, restDoor } from '../support/command-doors.js';
import { describeEachDatabase } from '../support/databases.js';
import { createStoppedClock } from '../support/identity.js';
import { INSTANT } from '../support/rest.js';
import { connect } from '../support/trpc-client.js';
import { until } from '../support/until.js';

const goal = { action: 'move_to', parameters: { x: 1, y: 2 } };

describeEachDatabase('commands', (kind) => {
  const app = useApp(kind, { config: { limits: { commands_per_robot: 30 } } });
  let owner: Account;
  let robot: string;
  let robots = 0;

  beforeEach(async () => {
    owner = await app().addAccount();
    robots += 1;
    robot = await addRobot(`r${robots}`);
  });

  async function addRobot(robot_id: string): Promise<string> {
    const body = { robot_id, robot_type: 'mobile_robot' };
    expect((await app().call('POST', '/api/v1/robots', body, owner.token)).status).toBe(200);
    return robot_id;
  }

  describe.each(commandDoors)('through %s', (_name, open) => {
    let door: CommandDoor;
    beforeEach(() => {
      door = open(app(), owner.token);
    });
    const statusOf = async (id: string) => (await door.get(robot, id)).data.status;

    it('goes from sent to completed', async () => {
      const sent = await door.send(robot, goal);
      const command = {
        ...{ command_id: expect.any(String), robot_id: robot, ...goal, status: 'queued' },
        ...{ issued_by: owner.account_id, message: null, result: null, deliveries: 0 },
        ...{ created_at: INSTANT, expires_at: INSTANT, delivered_at: null, received_at: null },
        ...{ started_at: null, finished_at: null },
      };
      expect(sent).toEqual({ status: 200, data: { ...command, message: 'Command sent' } });
      const { command_id: id, created_at, expires_at } = sent.data;
      expect(Date.parse(expires_at) - Date.parse(created_at)).toBe(300_000);
      expect(await door.get(robot, id)).toEqual({ status: 200, data: command });

      const frame = { id, type: 'move_to', parameters: goal.parameters };
      expect(await door.next(robot)).toEqual({
        status: 200,
        data: { ...frame, timestamp: created_at, expires_at },
      });
      expect((await door.get(robot, id)).data).toMatchObject({
        ...{ status: 'delivered', deliveries: 1, delivered_at: INSTANT },
      });
      expect((await door.ack(robot, id, { status: 'received' })).data).toMatchObject({
        ...{ status: 'received', received_at: INSTANT, started_at: null },
      });
      const progress = { status: 'in_progress', message: '40 %' };
      expect((await door.ack(robot, id, progress)).data).toMatchObject({
        ...{ status: 'in_progress', message: '40 %', started_at: INSTANT, finished_at: null },
      });
      const end = { status: 'completed', message: 'there', result: { error_m: 0.02 } };
      const done = await door.ack(robot, id, end);
      expect(done.data).toMatchObject({ ...end, finished_at: INSTANT });
      expect(await door.get(robot, id)).toEqual(done);
      expect(await door.next(robot)).toEqual({ status: 200, data: null });
    });

    it('takes no parameters as none', async () => {
      for (const parameters of [undefined, null, {}]) {
        const { data } = await door.send(robot, { action: 'pause', parameters });
        expect(data.parameters).toEqual({});
      }
    });

    it.each([
      [{}, /action/],
      [{ action: 'fly' }, 'action: is not known; GET /api/v1/actions/all lists what is'],
      [{ action: 'Stop now' }, /^action: must be small letters/],
      [{ action: 'move_to' }, "parameters: must have required property 'x'"],
      [{ action: 'move_to', parameters: { x: 1, y: '2' } }, 'parameters.y: must be number'],
      [{ action: 'pause', parameters: [] }, /^parameters: /],
      [{ action: 'pause', ttl_seconds: 0 }, /^ttl_seconds: /],
      [{ action: 'pause', ttl_seconds: 86_401 }, /^ttl_seconds: /],
      [{ action: 'pause', idempotency_key: 'x'.repeat(129) }, /idempotency.key: /],
    ])('refuses %j', async (command, sentence) => {
      const { status, error } = await door.send(robot, command);
      expect(status).toBe(400);
      if (typeof sentence === 'string') expect(error).toBe(sentence);
      else expect(error).toMatch(sentence);
      expect((await door.list(robot)).data.commands).toEqual([]);
    });

    it('refuses parameters and results that are too large', async () => {
      const big = 'x'.repeat(65_536);
      expect(await door.send(robot, { action: 'dock', parameters: { big } })).toEqual({
        status: 413,
        error: 'parameters: must not be larger than 64 KiB of JSON',
      });
      const { data } = await door.send(robot, goal);
      const said = { status: 'completed', result: big };
      expect(await door.ack(robot, data.command_id, said)).toEqual({
        status: 413,
        error: 'result: must not be larger than 64 KiB of JSON',
      });
    });

    it('lists them newest first, in pages, by their state', async () => {
      const ids: string[] = [];
      for (let n = 0; n < 7; n += 1) {
        ids.unshift((await door.send(robot, goal)).data.command_id);
      }
      await addRobot(`${robot}-other`);
      await door.send(`${robot}-other`, goal);
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const query = { limit: 3, ...(cursor && { cursor }) };
        const { data } = await door.list(robot, query);
        expect(data.commands.length).toBeLessThanOrEqual(3);
        seen.push(...data.commands.map((one: { command_id: string }) => one.command_id));
        cursor = data.next_cursor ?? undefined;
      } while (cursor);
      expect(seen).toEqual(ids);
      await door.cancel(robot, ids[2]!);
      const cancelled = await door.list(robot, { status: 'cancelled' });
      expect(cancelled.data.commands.map((one: { command_id: string }) => one.command_id)).toEqual([
        ids[2],
      ]);
      expect((await door.list(robot, { cursor: 'x' })).error).toMatch(/^cursor: /);
      expect((await door.list(robot, { status: 'done' })).status).toBe(400);
    });

    it('keeps their order however many come at once', async () => {
      const sent = await Promise.all(Array.from({ length: 20 }, () => door.send(robot, goal)));
      expect(sent.map(({ status }) => status)).toEqual(Array(20).fill(200));
      const handed: string[] = [];
      for (let n = 0; n < 20; n += 1) {
        const { data } = await door.next(robot);
        handed.push(data.id);
        await door.ack(robot, data.id, { status: 'received' });
      }
      const listed = (await door.list(robot)).data.commands;
      expect(listed.map((one: { command_id: string }) => one.command_id).reverse()).toEqual(handed);
      expect(new Set(handed)).toEqual(new Set(sent.map(({ data }) => data.command_id)));
    });

    it('takes acknowledgements in any order, and never goes back', async () => {
      const { command_id: id } = (await door.send(robot, goal)).data;
      await door.next(robot);
      await door.ack(robot, id, { status: 'in_progress', message: 'on my way' });
      const before = await door.get(robot, id);
      // Earlier ones that are late, and repeats, say what is.
      for (const status of ['received', 'in_progress']) {
        expect(await door.ack(robot, id, { status })).toEqual(before);
      }
      expect(await door.ack(robot, id, { status: 'in_progress', message: 'on my way' })).toEqual(
        before,
      );
      const further = await door.ack(robot, id, { status: 'in_progress', message: '90 %' });
      expect(further.data).toEqual({ ...before.data, message: '90 %' });
      const failed = await door.ack(robot, id, { status: 'failed', message: 'blocked' });
      expect(await door.ack(robot, id, { status: 'failed', message: 'again' })).toEqual(failed);
      for (const status of ['received', 'in_progress', 'completed']) {
        expect(await door.ack(robot, id, { status })).toEqual({
          status: 409,
          error: 'The command is failed already: blocked',
        });
      }
      expect(await door.get(robot, id)).toEqual(failed);
    });

    it('ends once when its ends come at the same time', async () => {
      const { command_id: id } = (await door.send(robot, goal)).data;
      const ends = await Promise.all([
        door.ack(robot, id, { status: 'completed' }),
        door.ack(robot, id, { status: 'failed' }),
        door.cancel(robot, id),
        door.ack(robot, id, { status: 'completed' }),
      ]);
      const done = ends.filter(({ status }) => status === 200).map(({ data }) => data.status);
      expect(new Set(done).size).toBe(1);
      expect(await statusOf(id)).toBe(done[0]);
      for (const { status, error } of ends) {
        if (status !== 200) expect([status, error]).toEqual([409, expect.stringMatching(done[0])]);
      }
    });

    it('refuses what no robot may say', async () => {
      const { command_id: id } = (await door.send(robot, goal)).data;
      for (const status of ['queued', 'delivered', 'expired', 'cancelled', 'done', undefined]) {
        expect((await door.ack(robot, id, { status })).status).toBe(400);
      }
      expect(await statusOf(id)).toBe('queued');
    });

    it('cancels what is not finished', async () => {
      const { command_id: id } = (await door.send(robot, goal)).data;
      const cancelled = await door.cancel(robot, id);
      expect(cancelled.data).toMatchObject({
        ...{ status: 'cancelled', message: `Cancelled by ${owner.account_id}` },
        finished_at: INSTANT,
      });
      expect(await door.cancel(robot, id)).toEqual(cancelled);
      expect(await door.next(robot)).toEqual({ status: 200, data: null });
      const { command_id: late } = (await door.send(robot, goal)).data;
      await door.next(robot);
      expect((await door.cancel(robot, late)).data.message).toBe(
        `Cancelled by ${owner.account_id}, after it was handed to the robot`,
      );
      expect((await door.ack(robot, late, { status: 'received' })).status).toBe(409);
      const { command_id: done } = (await door.send(robot, goal)).data;
      await door.ack(robot, done, { status: 'completed' });
      expect(await door.cancel(robot, done)).toEqual({
        status: 409,
        error: 'The command is completed already',
      });
    });

    it('finds no command of another robot or account', async () => {
      const { command_id: id } = (await door.send(robot, goal)).data;
      const other = await addRobot(`${robot}-other`);
      for (const call of [
        door.get(other, id),
        door.cancel(other, id),
        door.ack(other, id, { status: 'received' }),
        door.get(robot, 'unknown'),
      ]) {
        expect(await call).toEqual({ status: 404, error: 'Command not found' });
      }
      const stranger = open(app(), (await app().addAccount()).token);
      for (const call of [
        stranger.send(robot, goal),
        stranger.list(robot),
        stranger.get(robot, id),
        stranger.cancel(robot, id),
        stranger.ack(robot, id, { status: 'received' }),
        stranger.next(robot),
        stranger.stop(robot),
        stranger.clearStop(robot),
      ]) {
        expect(await call).toEqual({ status: 403, error: 'Access denied' });
      }
      expect((await door.send('nobody', goal)).error).toBe('Robot not found');
      expect(await statusOf(id)).toBe('queued');
    });

    it('does a repeat under one key once', async () => {
      const command = { ...goal, idempotency_key: 'order 1' };
      const first = await door.send(robot, command);
      const again = await door.send(robot, {
        ...command,
        parameters: { y: 2, x: 1 },
      });
      expect(again.data).toEqual({ ...first.data, message: 'Command already sent' });
      for (const other of [
        { ...command, parameters: { x: 1, y: 3 } },
        { ...command, ttl_seconds: 10 },
        { action: 'pause', idempotency_key: 'order 1' },
      ]) {
        const { status, error } = await door.send(robot, other);
        expect([status, error]).toEqual([
          409,
          'This idempotency key stands for another command; a new command needs a new key',
        ]);
      }
      await door.ack(robot, first.data.command_id, { status: 'completed' });
      expect((await door.send(robot, command)).data).toMatchObject({
        ...{ command_id: first.data.command_id, status: 'completed' },
      });
      expect((await door.list(robot)).data.commands).toHaveLength(1);
      // Another robot has keys of its own.
      const other = await addRobot(`${robot}-other`);
      expect((await door.send(other, command)).data.message).toBe('Command sent');
    });

    it.each(['move_to', 'stop'])('does %s once however many repeats race', async (action) => {
      const parameters = action === 'stop' ? {} : goal.parameters;
      const race = await Promise.all(
        Array.from({ length: 8 }, () =>
          door.send(robot, { action, parameters, idempotency_key: 'k' }),
        ),
      );
      expect(new Set(race.map(({ data }) => data.command_id)).size).toBe(1);
      const messages = race.map(({ data }) => data.message);
      expect(messages.filter((message) => message === 'Command sent')).toHaveLength(1);
      expect((await door.list(robot)).data.commands).toHaveLength(1);
    });

    it('holds a bounded number unfinished', async () => {
      const sent = await Promise.all(Array.from({ length: 40 }, () => door.send(robot, goal)));
      const refused = sent.filter(({ status }) => status !== 200);
      expect(refused).toHaveLength(10);
      for (const { status, error } of refused) {
        expect([status, error]).toEqual([
          429,
          'At most 30 commands of a robot may be unfinished; a stop cancels them',
        ]);
      }
      await door.ack(robot, sent.find(({ data }) => data)?.data.command_id, {
        status: 'completed',
      });
      expect((await door.send(robot, goal)).status).toBe(200);
      expect((await door.send(robot, goal)).status).toBe(429);
      expect((await door.send(robot, { action: 'stop' })).status).toBe(200);
      expect((await door.send(robot, goal)).status).toBe(200);
    });

    it('takes from a key what its scopes allow', async () => {
      const keyOf = async (body: object) => {
        const key = { name: 'a key', ...body };
        return (await app().call('POST', '/api/v1/keys', key, owner.token)).json.data;
      };
      const sending = await keyOf({ scopes: ['commands:send'] });
      const sender = open(app(), sending.key);
      const { data } = await sender.send(robot, goal);
      expect(data.issued_by).toBe(sending.id);
      expect((await sender.get(robot, data.command_id)).error).toBe(
        'This key lacks the scope commands:read',
      );
      const robotDoor = open(app(), (await keyOf({ robot_id: robot })).key);
      expect((await robotDoor.next(robot)).data.id).toBe(data.command_id);
      const said = { status: 'received' };
      expect((await robotDoor.ack(robot, data.command_id, said)).status).toBe(200);
      for (const call of [robotDoor.send(robot, goal), robotDoor.stop(robot)]) {
        expect((await call).error).toBe('This key lacks the scope commands:send');
      }
      const other = await addRobot(`${robot}-other`);
      const { command_id } = (await door.send(other, goal)).data;
      for (const call of [robotDoor.next(other), robotDoor.ack(other, command_id, said)]) {
        expect(await call).toEqual({ status: 403, error: 'Access denied' });
      }
    });
  });

  it('shows dashboards every change, resumable', async () => {
    const door = restDoor(app(), owner.token);
    const { commands } = connect(app(), owner.token);
    // biome-ignore lint/suspicious/noExplicitAny: what is pushed is compared below
    const seen: any[] = [];
    const watch = (input: { robot_ids?: string[]; lastEventId?: string }, into = seen) =>
      commands.live.subscribe(input, { onData: (event) => void into.push(event) });
    const subscription = watch({ robot_ids: [robot] });
    await until('the start', () => seen.length === 1);
    const other = await addRobot(`${robot}-other`);
    await door.send(other, goal);
    const { command_id } = (await door.send(robot, goal)).data;
    await door.next(robot);
    await door.ack(robot, command_id, { status: 'completed' });
    await door.stop(robot);
    await door.clearStop(robot);
    await until('every change', () => seen.length === 8);
    subscription.unsubscribe();
    const [start, ...changes] = seen.map(({ data }) => data);
    expect(start.type).toBe('start');
    expect(changes.map(({ type, status, stopped_by }) => [type, status ?? stopped_by])).toEqual([
      ['command', 'queued'],
      ['command', 'delivered'],
      ['command', 'completed'],
      ['stop', owner.account_id],
      ['command', 'queued'],
      ['command', 'cancelled'],
      ['stop', null],
    ]);
    expect(changes[2]).toEqual({ type: 'command', ...(await door.get(robot, command_id)).data });

    // biome-ignore lint/suspicious/noExplicitAny: as above
    const rest: any[] = [];
    const resumed = watch({ robot_ids: [robot], lastEventId: seen[3].id }, rest);
    await until('the rest', () => rest.filter(({ data }) => data.type !== 'start').length === 4);
    resumed.unsubscribe();
    expect(rest.slice(-4)).toEqual(seen.slice(4));
  });

  it('goes with its robot', async () => {
    const door = restDoor(app(), owner.token);
    const { command_id } = (await door.send(robot, goal)).data;
    const path = `/api/v1/robots/${robot}`;
    await app().call('DELETE', path, { confirm: robot }, owner.token);
    expect((await door.get(robot, command_id)).error).toBe('Robot not found');
  });
});

describeEachDatabase('commands and time', (kind) => {
  async function open() {
    const clock = createStoppedClock();
    const app = await startApp(kind, { clock });
    await app.call('POST', '/api/v1/robots', { robot_id: 'r1', robot_type: 'x' });
    return { clock, app, door: restDoor(app) };
  }

  it('expires what nobody fetched, and hands it to nobody', async () => {
    const { clock, door } = await open();
    const { command_id: id } = (await door.send('r1', { ...goal, ttl_seconds: 10 })).data;
    clock.advance(9_999);
    expect((await door.next('r1')).data.id).toBe(id);
    clock.advance(1);
    // Whether or not it is marked yet.
    expect((await door.next('r1')).data).toBeNull();
    clock.advance(1_000);
    const expired = await until('the mark', async () => {
      const { data } = await door.get('r1', id);
      return data.status === 'expired' && data;
    });
    expect(expired.message).toBe('The robot did not acknowledge it in time');
    expect(expired.finished_at).not.toBeNull();
    expect((await door.ack('r1', id, { status: 'received' })).error).toBe(
      'The command is expired already: The robot did not acknowledge it in time',
    );

    const { command_id: queued } = (await door.send('r1', { ...goal, ttl_seconds: 5 })).data;
    clock.advance(6_000);
    await until('the mark', async () => (await door.get('r1', queued)).data.status === 'expired');
    expect((await door.get('r1', queued)).data.message).toBe('The robot did not fetch it in time');
  });

  it('ends by an acknowledgement that comes too late', async () => {
    const { clock, door } = await open();
    const { command_id: id } = (await door.send('r1', { ...goal, ttl_seconds: 10 })).data;
    await door.next('r1');
    // Before the next look at what has expired.
    clock.advance(999);
    clock.advance(9_000);
    clock.advance(1);
    const late = await door.ack('r1', id, { status: 'completed' });
    expect(late.status).toBe(409);
    expect((await door.get('r1', id)).data.status).toBe('expired');
  });

  it('does not expire what the robot has acknowledged', async () => {
    const { clock, door } = await open();
    const ids: string[] = [];
    for (const status of ['received', 'in_progress']) {
      const { command_id } = (await door.send('r1', { ...goal, ttl_seconds: 10 })).data;
      await door.ack('r1', command_id, { status });
      ids.push(command_id);
    }
    const { command_id: witness } = (await door.send('r1', { ...goal, ttl_seconds: 10 })).data;
    clock.advance(86_400_000);
    await until('the mark', async () => (await door.get('r1', witness)).data.status === 'expired');
    expect((await door.get('r1', ids[0]!)).data.status).toBe('received');
    expect((await door.ack('r1', ids[1]!, { status: 'completed' })).data.status).toBe('completed');
  });
});
