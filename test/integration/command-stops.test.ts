import { beforeEach, describe, expect, it } from 'vitest';
import { type Account, startApp, useApp } from '../support/app.js';
import { type CommandDoor, commandDoors, restDoor } from '../support/command-doors.js';
import { describeEachDatabase } from '../support/databases.js';
import { INSTANT } from '../support/rest.js';
import { openRobot } from '../support/robot-socket.js';

const goal = { action: 'move_to', parameters: { x: 1, y: 2 } };

describeEachDatabase('stops', (kind) => {
  const app = useApp(kind);
  let owner: Account;
  let robot: string;
  let robots = 0;

  beforeEach(async () => {
    owner = await app().addAccount();
    robots += 1;
    robot = await addRobot(`r${robots}`);
  });

  async function addRobot(robot_id: string): Promise<string> {
    const body = { robot_id, robot_type: 'x' };
    expect((await app().call('POST', '/api/v1/robots', body, owner.token)).status).toBe(200);
    return robot_id;
  }
  async function shown(robotId = robot) {
    const path = `/api/v1/robots/${robotId}`;
    const { stopped_at, stopped_by } = (await app().call('GET', path, undefined, owner.token)).json
      .data;
    return { stopped_at, stopped_by };
  }
  const released = { stopped_at: null, stopped_by: null };

  describe.each(commandDoors)('through %s', (_name, open) => {
    let door: CommandDoor;
    beforeEach(() => {
      door = open(app(), owner.token);
    });

    it('a stop among the commands overtakes and cancels all that is not finished', async () => {
      const ids: string[] = [];
      for (let n = 0; n < 5; n += 1) ids.push((await door.send(robot, goal)).data.command_id);
      await door.ack(robot, ids[0]!, { status: 'completed' });
      await door.ack(robot, ids[1]!, { status: 'in_progress' });
      await door.ack(robot, ids[2]!, { status: 'received' });
      await door.next(robot);
      const stop = await door.send(robot, { action: 'stop', parameters: { reason: 'fire' } });
      expect(stop.data).toMatchObject({
        action: 'stop',
        status: 'queued',
        message: 'Command sent',
      });
      const { command_id: stopId } = stop.data;
      const states = await Promise.all(ids.map((id) => door.get(robot, id)));
      expect(states.map(({ data }) => data.status)).toEqual([
        'completed',
        ...Array(4).fill('cancelled'),
      ]);
      for (const { data } of states.slice(1)) {
        expect(data.message).toBe(`Cancelled by the stop ${stopId}`);
      }
      expect(await shown()).toEqual(released);
      const { command_id: later } = (await door.send(robot, goal)).data;
      expect((await door.next(robot)).data).toMatchObject({
        ...{ id: stopId, type: 'stop', parameters: { reason: 'fire' } },
      });
      await door.ack(robot, stopId, { status: 'completed' });
      expect((await door.next(robot)).data.id).toBe(later);
    });

    it('a stop that holds lets nothing but stops through until it is cleared', async () => {
      const { command_id: before } = (await door.send(robot, goal)).data;
      const stopped = await door.stop(robot, { reason: 'A person in the aisle' });
      expect(stopped).toEqual({
        status: 200,
        data: {
          ...{ robot_id: robot, command_id: expect.any(String), status: 'queued' },
          ...{ stopped_at: INSTANT, stopped_by: owner.account_id },
        },
      });
      const { stopped_at } = stopped.data;
      expect(await shown()).toEqual({ stopped_at, stopped_by: owner.account_id });
      expect((await door.get(robot, before)).data.status).toBe('cancelled');
      expect(await door.send(robot, goal)).toEqual({
        status: 409,
        error:
          `Stopped by ${owner.account_id} at ${stopped_at}; ` +
          `POST /api/v1/robots/${robot}/stop/clear lets commands through again`,
      });
      expect((await door.send(robot, { action: 'stop' })).status).toBe(200);

      // Whoever stops it once more, the first stays named.
      const key = { name: 'second', scopes: ['commands:send'] };
      const { json } = await app().call('POST', '/api/v1/keys', key, owner.token);
      const second = open(app(), json.data.key);
      const again = await second.stop(robot);
      expect(again.data).toMatchObject({ stopped_at, stopped_by: owner.account_id });
      expect((await door.next(robot)).data).toMatchObject({
        ...{ id: again.data.command_id, type: 'stop' },
      });

      expect(await second.clearStop(robot)).toEqual({
        status: 200,
        data: {
          ...{ robot_id: robot, cleared: true, stopped_at, stopped_by: owner.account_id },
          cleared_by: json.data.id,
        },
      });
      expect(await shown()).toEqual(released);
      // A stop that has not reached the robot must not surprise it later.
      expect((await door.get(robot, again.data.command_id)).data).toMatchObject({
        ...{ status: 'cancelled', message: `The stop was cleared by ${json.data.id}` },
      });
      expect((await door.send(robot, goal)).status).toBe(200);
      expect((await door.clearStop(robot)).data).toEqual({
        ...{ robot_id: robot, cleared: false, ...released, cleared_by: owner.account_id },
      });
    });

    it('leaves a stop that the robot has acknowledged to the robot when it is cleared', async () => {
      const { command_id } = (await door.stop(robot)).data;
      await door.next(robot);
      await door.ack(robot, command_id, { status: 'in_progress' });
      await door.clearStop(robot);
      expect((await door.ack(robot, command_id, { status: 'completed' })).status).toBe(200);
    });

    it('stops and clears a whole fleet, one row a robot', async () => {
      const names = [robot];
      for (let n = 0; n < 60; n += 1) {
        names.push(await addRobot(`${robot}-${String(n).padStart(2, '0')}`));
      }
      const { command_id } = (await door.send(names[7]!, goal)).data;
      const stranger = await app().addAccount();
      const foreign = { robot_id: `${robot}-foreign`, robot_type: 'x' };
      await app().call('POST', '/api/v1/robots', foreign, stranger.token);

      const { data } = await door.stopFleet({ reason: 'fire' });
      expect(data.count).toBe(61);
      expect(data.robots.map((one: { robot_id: string }) => one.robot_id)).toEqual(names.sort());
      for (const one of data.robots) {
        expect(one).toMatchObject({ status: 'queued', stopped_by: owner.account_id });
        expect((await door.next(one.robot_id)).data).toMatchObject({
          ...{ id: one.command_id, type: 'stop', parameters: { reason: 'fire' } },
        });
      }
      expect((await door.get(names[7]!, command_id)).data.status).toBe('cancelled');
      expect((await door.send(names[60]!, goal)).status).toBe(409);
      expect((await open(app(), stranger.token).send(foreign.robot_id, goal)).status).toBe(200);

      await door.clearStop(names[0]!);
      const cleared = await door.clearFleetStop();
      expect(cleared.data.count).toBe(60);
      expect(cleared.data.robots.map((one: { robot_id: string }) => one.robot_id)).toEqual(
        names.slice(1),
      );
      expect(await door.clearFleetStop()).toEqual({ status: 200, data: { robots: [], count: 0 } });
      expect((await door.send(names[60]!, goal)).status).toBe(200);
    });

    it('stops a fleet without a robot', async () => {
      const lonely = open(app(), (await app().addAccount()).token);
      expect(await lonely.stopFleet()).toEqual({ status: 200, data: { robots: [], count: 0 } });
    });

    it('is not cleared by a robot', async () => {
      await door.stop(robot);
      const key = { name: 'its own', robot_id: robot };
      const { json } = await app().call('POST', '/api/v1/keys', key, owner.token);
      const own = open(app(), json.data.key);
      expect((await own.clearStop(robot)).status).toBe(403);
      expect((await own.clearFleetStop()).status).toBe(403);
      expect((await shown()).stopped_by).toBe(owner.account_id);
    });
  });

  it('lets no command slip past a stop at the same moment', async () => {
    const door = restDoor(app(), owner.token);
    for (let round = 0; round < 5; round += 1) {
      const calls = Array.from({ length: 12 }, (_, n) =>
        n === 6 ? door.stop(robot) : door.send(robot, goal),
      );
      await Promise.all(calls);
      const { commands } = (await door.list(robot)).data;
      const open = commands.filter(({ finished_at }: { finished_at: unknown }) => !finished_at);
      expect(open.map(({ action }: { action: string }) => action)).toEqual(['stop']);
      await door.clearStop(robot);
    }
  });

  it('reaches a robot at its socket before what waits', async () => {
    const door = restDoor(app(), owner.token);
    const socket = await openRobot(app().url, robot, owner.token);
    const first = (await door.send(robot, goal)).data;
    const stop = (await door.stop(robot)).data;
    expect(stop.status).toBe('delivered');
    const frames = await socket.reach(2);
    expect(frames.map(({ id }) => id)).toEqual([first.command_id, stop.command_id]);
    expect((await door.get(robot, stop.command_id)).data.deliveries).toBe(1);
    socket.say({ command_id: first.command_id, status: 'completed' });
    const [, , refusal] = await socket.reach(3);
    expect(refusal).toEqual({
      code: 'conflict',
      error: `The command is cancelled already: Cancelled by the stop ${stop.command_id}`,
    });
  });

  it('keeps the stop of a robot that is renamed at the same moment', async () => {
    const door = restDoor(app(), owner.token);
    await Promise.all([
      door.stop(robot),
      app().call('PUT', `/api/v1/robots/${robot}`, { robot_name: 'x' }, owner.token),
    ]);
    expect((await shown()).stopped_by).toBe(owner.account_id);
    expect((await door.send(robot, goal)).status).toBe(409);
  });

  it('holds over a restart', async () => {
    const database = await kind.create();
    const first = await startApp(database);
    await first.call('POST', '/api/v1/robots', { robot_id: 'r1', robot_type: 'x' });
    const { data } = await restDoor(first).stop('r1');
    await first.close();
    const second = await startApp(database);
    const door = restDoor(second);
    const { json } = await second.call('GET', '/api/v1/robots/r1');
    expect(json.data).toMatchObject({ stopped_at: data.stopped_at, stopped_by: 'ADMIN-001' });
    expect((await door.send('r1', goal)).status).toBe(409);
    expect((await door.next('r1')).data.id).toBe(data.command_id);
    expect((await door.clearStop('r1')).data.cleared).toBe(true);
    await second.close();
    await database.dispose();
  });
});
