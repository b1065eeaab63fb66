import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import Fastify from 'fastify';
import { pino } from 'pino';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { openDatabase } from '../../src/db/client.js';
import { mountCommandSocket } from '../../src/http/command-socket.js';
import { readCredentials } from '../../src/http/credential.js';
import { createUpgrades } from '../../src/http/upgrades.js';
import { createLogger } from '../../src/lib/logger.js';
import { type Account, startApp, type TestApp, useApp } from '../support/app.js';
import { type CommandDoor, restDoor } from '../support/command-doors.js';
import { describeEachDatabase, type TestDatabase } from '../support/databases.js';
import { createStoppedClock } from '../support/identity.js';
import { openRobot, type RobotSocket } from '../support/robot-socket.js';
import { openSse, type SseReader } from '../support/sse.js';
import { connect } from '../support/trpc-client.js';
import { until } from '../support/until.js';

const goal = { action: 'move_to', parameters: { x: 1, y: 2 } };

/** A robot that listens, whichever way. */
interface Listener {
  // biome-ignore lint/suspicious/noExplicitAny: frames are compared
  frames(): any[];
  close(): void;
}
type Listen = (app: TestApp, robot: string, token: string) => Promise<Listener>;

const overSocket: Listen = async ({ url }, robot, token) => {
  const { frames, ws } = await openRobot(url, robot, token);
  return { frames: () => frames, close: () => ws.terminate() };
};
const overSse: Listen = async ({ url }, robot, token) => {
  const path = `/api/v1/robots/${robot}/control/subscribe?token=${token}`;
  const { events, close } = await openSse(`${url}${path}`);
  return { frames: events, close };
};
const overTrpc: Listen = async (app, robot_id, token) => {
  const frames: unknown[] = [];
  let started = false;
  const { unsubscribe } = connect(app, token).commands.receive.subscribe(
    { robot_id },
    {
      onStarted: () => {
        started = true;
      },
      onData: (frame) => void frames.push(frame),
    },
  );
  await until('the subscription', () => started);
  return { frames: () => frames, close: unsubscribe };
};

async function addRobot(app: TestApp, robot_id: string, token = app.admin.token) {
  const body = { robot_id, robot_type: 'x' };
  expect((await app.call('POST', '/api/v1/robots', body, token)).status).toBe(200);
}

describeEachDatabase('handing out commands', (kind) => {
  const app = useApp(kind);
  let owner: Account;
  let robot: string;
  let door: CommandDoor;
  let robots = 0;

  beforeEach(async () => {
    owner = await app().addAccount();
    robots += 1;
    robot = `r${robots}`;
    await addRobot(app(), robot, owner.token);
    door = restDoor(app(), owner.token);
  });
  const send = async (fields: object = goal) => (await door.send(robot, { ...fields })).data;

  describe.each([
    ['a WebSocket', overSocket],
    ['server-sent events', overSse],
    ['a tRPC subscription', overTrpc],
  ])('over %s', (_name, listen) => {
    it('gives what waits, then what comes, in order', async () => {
      const ids: string[] = [];
      for (let n = 0; n < 25; n += 1) ids.push((await send()).command_id);
      const { frames } = await listen(app(), robot, owner.token);
      await until('what waited', () => frames().length === 25);
      const live = await Promise.all(Array.from({ length: 25 }, () => send()));
      await until('all', () => frames().length === 50);
      const { commands } = (await door.list(robot)).data;
      expect(commands).toHaveLength(50);
      expect(frames().map(({ id }) => id)).toEqual(
        commands.map(({ command_id }: { command_id: string }) => command_id).reverse(),
      );
      expect(
        frames()
          .slice(0, 25)
          .map(({ id }) => id),
      ).toEqual(ids);
      for (const { status, deliveries } of live)
        expect([status, deliveries]).toEqual(['delivered', 1]);
      for (const frame of frames()) expect(frame).not.toHaveProperty('redelivered');
      const { created_at: timestamp, expires_at, command_id: id } = commands[0];
      expect(frames().at(-1)).toEqual({
        ...{ id, type: 'move_to', parameters: goal.parameters, timestamp, expires_at },
      });
    });

    it('gives again what was not acknowledged, and never what was', async () => {
      const first = await listen(app(), robot, owner.token);
      const ids: string[] = [];
      for (let n = 0; n < 6; n += 1) ids.push((await send()).command_id);
      await until('all', () => first.frames().length === 6);
      await door.ack(robot, ids[0]!, { status: 'received' });
      await door.ack(robot, ids[2]!, { status: 'in_progress' });
      await door.ack(robot, ids[3]!, { status: 'completed' });
      await door.cancel(robot, ids[4]!);
      first.close();
      const second = await listen(app(), robot, owner.token);
      const { command_id: fresh } = await send();
      await until('the rest', () => second.frames().length === 3);
      expect(second.frames().map(({ id, redelivered }) => [id, redelivered])).toEqual([
        [ids[1], true],
        [ids[5], true],
        [fresh, undefined],
      ]);
      expect((await door.get(robot, ids[1]!)).data.deliveries).toBe(2);
    });
  });

  describe('one connection a robot', () => {
    it('ends the older with the reason', async () => {
      const old = await openRobot(app().url, robot, owner.token);
      const { command_id } = await send();
      await old.reach(1);
      const young = await openRobot(app().url, robot, owner.token);
      expect(await old.closed).toEqual({
        code: 4_409,
        reason: 'Another connection of this robot has taken over',
      });
      expect(await young.reach(1)).toMatchObject([{ id: command_id, redelivered: true }]);
      await send();
      await young.reach(2);
      expect(old.frames).toHaveLength(1);
    });

    it('whatever its kind', async () => {
      const events = await openSse(
        `${app().url}/api/v1/robots/${robot}/control/subscribe?token=${owner.token}`,
      );
      await send();
      await events.reach(1);
      await openRobot(app().url, robot, owner.token);
      await events.ended;
      expect(events.blocks.at(-1)).toEqual({
        event: 'error',
        data: JSON.stringify({
          ...{ success: false, error: 'Another connection of this robot has taken over' },
          code: 'conflict',
        }),
      });
    });

    it('loses and doubles nothing while connections come and go', async () => {
      const received: string[] = [];
      const redelivered = new Set<string>();
      let current: RobotSocket | undefined;
      let running = true;
      async function live(): Promise<void> {
        while (running) {
          let taken = 0;
          current = await openRobot(app().url, robot, owner.token, {
            onFrame(frame, { ws, say }) {
              if (frame.redelivered) redelivered.add(frame.id);
              taken += 1;
              // Of each life some are acknowledged; with what comes then the connection is lost.
              if (taken > 4) return ws.terminate();
              received.push(frame.id);
              say({ command_id: frame.id, status: 'received' });
            },
          });
          await current.closed;
        }
      }
      const living = live();
      try {
        const sent = await Promise.all(Array.from({ length: 30 }, () => send()));
        await until('all acknowledged', async () => {
          const { commands } = (await door.list(robot)).data;
          return commands.every(({ status }: { status: string }) => status === 'received');
        });
        expect(new Set(received)).toEqual(new Set(sent.map(({ command_id }) => command_id)));
        expect(redelivered.size).toBeGreaterThan(0);
      } finally {
        running = false;
        current?.ws.terminate();
        await living;
      }
    });
  });

  describe('to a robot that asks', () => {
    it('gives the oldest until it is acknowledged', async () => {
      const [one, two] = [await send(), await send()];
      expect((await door.next(robot)).data).toMatchObject({ id: one.command_id });
      expect((await door.next(robot)).data).toMatchObject({
        id: one.command_id,
        redelivered: true,
      });
      await door.ack(robot, one.command_id, { status: 'received' });
      expect((await door.next(robot)).data.id).toBe(two.command_id);
    });

    /** Asking makes the robot be seen, in the same step in which it begins to wait. */
    async function asking(waitSeconds: number) {
      const asked = door.next(robot, waitSeconds);
      await until('the presence that asking makes', async () => {
        const { json } = await app().call('GET', `/api/v1/robots/${robot}`, undefined, owner.token);
        return json.data.presence === 'online';
      });
      return { asked };
    }

    it('answers at once when one comes', async () => {
      const { asked } = await asking(60);
      const { command_id } = await send();
      expect((await asked).data).toMatchObject({ id: command_id });
    });

    it('answers an older question when a newer one comes', async () => {
      const { asked } = await asking(60);
      const newer = door.next(robot, 60);
      expect(await asked).toEqual({ status: 200, data: null });
      const { command_id } = await send();
      expect((await newer).data.id).toBe(command_id);
    });

    it('answers null when none comes, by the clock', async () => {
      const clock = createStoppedClock();
      const other = await startApp(kind, { clock });
      await addRobot(other, 'r1');
      let answer: unknown;
      const asked = restDoor(other)
        .next('r1', 30)
        .then((reply) => {
          answer = reply;
        });
      await until('the presence that asking makes', async () => {
        const { json } = await other.call('GET', '/api/v1/robots/r1');
        return json.data.presence === 'online';
      });
      await until('the end of the wait', () => {
        clock.advance(1_000);
        return answer !== undefined;
      });
      await asked;
      expect(answer).toEqual({ status: 200, data: null });
    });

    it('may be silent for longer than other answers', async () => {
      const hasty = await startApp(kind, { config: { server: { write_timeout: 500 } } });
      await addRobot(hasty, 'r1');
      expect(await restDoor(hasty).next('r1', 2)).toEqual({ status: 200, data: null });
    });

    it.each([['-1'], ['61'], ['x']])('refuses wait=%s', async (wait) => {
      const path = `/api/v1/robots/${robot}/control/next?wait=${wait}`;
      expect((await app().call('GET', path, undefined, owner.token)).status).toBe(400);
    });

    it('forgets a question whose asker has gone', async () => {
      const { port } = new URL(app().url);
      const socket = connectTcp(Number(port), '127.0.0.1');
      socket.write(
        `GET /api/v1/robots/${robot}/control/next?wait=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${owner.token}\r\n\r\n`,
      );
      await until('the presence that asking makes', async () => {
        const { json } = await app().call('GET', `/api/v1/robots/${robot}`, undefined, owner.token);
        return json.data.presence === 'online';
      });
      socket.destroy();
      await once(socket, 'close');
      const { command_id } = await send();
      // Whether the server has noticed or not, the command is not lost.
      expect((await door.next(robot, 5)).data.id).toBe(command_id);
    });
  });

  describe('at the WebSocket', () => {
    it('takes what the robot says, in its order', async () => {
      const socket = await openRobot(app().url, robot, owner.token);
      const { command_id } = await send();
      await socket.reach(1);
      socket.say({ command_id, status: 'received' });
      socket.say({ command_id, status: 'in_progress', message: 'half way' });
      socket.say({ command_id, status: 'in_progress', message: 'almost' });
      socket.say({ command_id, status: 'completed', message: 'there', result: [1] });
      const done = await until('the end', async () => {
        const { data } = await door.get(robot, command_id);
        return data.status === 'completed' && data;
      });
      expect(done).toMatchObject({ message: 'there', result: [1] });
      expect(done.received_at <= done.started_at && done.started_at <= done.finished_at).toBe(true);
      expect(socket.frames).toHaveLength(1);
    });

    it('makes the robot be seen', async () => {
      const presence = async () => {
        const path = `/api/v1/robots/${robot}`;
        return (await app().call('GET', path, undefined, owner.token)).json.data.presence;
      };
      expect(await presence()).toBe('offline');
      await openRobot(app().url, robot, owner.token);
      await until('the presence', async () => (await presence()) === 'online');
    });

    it('answers what is wrong, and goes on', async () => {
      const socket = await openRobot(app().url, robot, owner.token);
      const { command_id } = await send();
      await socket.reach(1);
      socket.say('{');
      socket.say('"x"');
      socket.say({});
      socket.say({ command_id, status: 'done' });
      socket.say({ command_id: 'unknown', status: 'received' });
      socket.say({ command_id, status: 'completed', result: 'x'.repeat(70_000) });
      socket.ws.send(Buffer.from([0xff, 0x00, 0x7b]));
      const frames = await socket.reach(8);
      expect(frames.slice(1)).toEqual([
        { error: 'The message is not valid JSON', code: 'invalid_input' },
        { error: expect.stringMatching(/object/), code: 'invalid_input' },
        { error: expect.stringMatching(/status.*command_id/), code: 'invalid_input' },
        { error: expect.stringMatching(/^status: /), code: 'invalid_input' },
        { error: 'Command not found', code: 'not_found' },
        {
          ...{ error: 'result: must not be larger than 64 KiB of JSON', code: 'too_large' },
          limit: 'command_json_bytes',
        },
        { error: 'The message is not valid JSON', code: 'invalid_input' },
      ]);
      socket.say({ command_id, status: 'completed' });
      await until('the end', async () => {
        return (await door.get(robot, command_id)).data.status === 'completed';
      });
    });

    it('takes a message that comes with the handshake', async () => {
      const { command_id } = await send();
      const { port } = new URL(app().url);
      const text = Buffer.from(JSON.stringify({ command_id, status: 'received' }));
      const frame = Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]);
      const socket = connectTcp(Number(port), '127.0.0.1');
      onTestFinished(() => void socket.destroy());
      const head =
        `GET /api/v1/robots/${robot}/commands?token=${owner.token} HTTP/1.1\r\nHost: x\r\n` +
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
      socket.write(Buffer.concat([Buffer.from(head), frame]));
      await until('what it said', async () => {
        return (await door.get(robot, command_id)).data.status === 'received';
      });
    });

    it('closes on a message that is too large', async () => {
      const socket = await openRobot(app().url, robot, owner.token);
      socket.say('x'.repeat(200_000));
      expect((await socket.closed).code).toBe(1_009);
      expect((await app().call('GET', '/health')).status).toBe(200);
    });

    it('takes the credential from header, token or ticket', async () => {
      await openRobot(app().url, robot, owner.token);
      await openRobot(app().url, robot, null, { search: `?token=${owner.token}` });
      const path = '/api/v1/streams/ticket';
      const { json } = await app().call('POST', path, undefined, owner.token);
      const search = `?ticket=${json.data.ticket}`;
      await openRobot(app().url, robot, null, { search });
      await expect(openRobot(app().url, robot, null, { search })).rejects.toThrow(/^401 /);
      const compat = `${app().url.replace('http', 'ws')}/compat/kairoio`;
      const ws = new WebSocket(`${compat}/api/v1/robots/${robot}/commands?token=${owner.token}`);
      onTestFinished(() => ws.terminate());
      await once(ws, 'open');
    });

    it('refuses before the upgrade who may not', async () => {
      const key = async (body: object) =>
        (await app().call('POST', '/api/v1/keys', { name: 'k', ...body }, owner.token)).json.data
          .key;
      const stranger = await app().addAccount();
      await addRobot(app(), `${robot}-other`, owner.token);
      const refusals: [string, string | null, RegExp][] = [
        [robot, null, /^401 .*"error":"Invalid certification key"/],
        [robot, 'wrong', /^401 /],
        [robot, stranger.token, /^403 .*"error":"Access denied"/],
        ['nobody', owner.token, /^404 .*"error":"Robot not found"/],
        ['x'.repeat(129), owner.token, /^400 .*"error":"robotId: /],
        [robot, await key({ scopes: ['commands:read'] }), /^403 .*lacks the scope/],
        [`${robot}-other`, await key({ robot_id: robot }), /^403 .*"error":"Access denied"/],
      ];
      for (const [id, token, answer] of refusals) {
        await expect(openRobot(app().url, id, token)).rejects.toThrow(answer);
      }
      const plain = `/api/v1/robots/${robot}/commands`;
      expect((await app().call('GET', plain, undefined, null)).status).toBe(401);
      const answer = await app().call('GET', plain, undefined, owner.token);
      expect([answer.status, answer.headers.get('upgrade')]).toEqual([426, 'websocket']);
    });

    it('ends when its robot is deleted, or its key revoked', async () => {
      const clock = createStoppedClock();
      const other = await startApp(kind, { clock });
      for (const id of ['r1', 'r2']) await addRobot(other, id);
      const key = await other.call('POST', '/api/v1/keys', { name: 'k', robot_id: 'r1' });
      const revoked = await openRobot(other.url, 'r1', key.json.data.key);
      const deleted = await openRobot(other.url, 'r2', other.admin.token);
      await other.call('DELETE', `/api/v1/keys/${key.json.data.id}`);
      await other.call('DELETE', '/api/v1/robots/r2', { confirm: 'r2' });
      revoked.say({ command_id: 'x', status: 'received' });
      expect(await revoked.reach(1)).toMatchObject([{ code: 'unauthenticated' }]);
      clock.advance(5_000);
      expect((await revoked.closed).code).toBe(4_401);
      expect(await deleted.closed).toEqual({ code: 4_404, reason: 'Robot not found' });
    });

    it('holds no more for a robot that does not read than it may', async () => {
      const small = await startApp(kind, { config: { limits: { stream_buffer: 65_536 } } });
      await addRobot(small, 'r1');
      const own = restDoor(small);
      const socket = await openRobot(small.url, 'r1', small.admin.token);
      const states: string[] = [];
      await until('the short way', async () => {
        states.push((await own.send('r1', { action: 'pause' })).data.status);
        return states.at(-1) === 'delivered';
      });
      socket.ws.pause();
      const parameters = { dock_id: 'd', pad: 'x'.repeat(60_000) };
      await until('a command that has to wait', async () => {
        const { data } = await own.send('r1', { action: 'dock', parameters });
        states.push(data.status);
        return states.at(-1) === 'queued' && states.at(-2) === 'queued';
      });
      socket.ws.resume();
      const frames = await socket.reach(states.length);
      const { commands } = (await own.list('r1')).data;
      expect(frames.map(({ id }) => id)).toEqual(
        commands.map(({ command_id }: { command_id: string }) => command_id).reverse(),
      );
      for (const frame of frames) expect(frame).not.toHaveProperty('redelivered');
      // Once it has caught up, commands are handed over at once again.
      await until('the short way', async () => {
        return (await own.send('r1', { action: 'pause' })).data.status === 'delivered';
      });
    });

    it('hands out nothing that expired on its way', async () => {
      const clock = createStoppedClock();
      const other = await startApp(kind, { clock });
      await addRobot(other, 'r1');
      const own = restDoor(other);
      await own.send('r1', { ...goal, ttl_seconds: 10 });
      const { command_id } = (await own.send('r1', { ...goal, ttl_seconds: 20 })).data;
      clock.advance(10_000);
      const socket = await openRobot(other.url, 'r1', other.admin.token);
      const [first] = await socket.reach(1);
      expect(first.id).toBe(command_id);
    });

    it('finds what nobody told it of: what another server stored, or one that is gone', async () => {
      const database = await kind.create();
      onTestFinished(database.dispose);
      const clock = createStoppedClock();
      const other = await startApp(database, { clock });
      for (const id of ['r1', 'r2']) await addRobot(other, id);
      const own = restDoor(other);
      const elsewhere = await openDatabase(database.config);
      onTestFinished(elsewhere.close);
      const gap = (await own.send('r1', goal)).data.command_id;
      const gone = await elsewhere.db
        .deleteFrom('commands')
        .where('id', '=', gap)
        .returningAll()
        .executeTakeFirstOrThrow();
      const socket = await openRobot(other.url, 'r1', other.admin.token);
      const kept = (await own.send('r1', goal)).data.command_id;
      await socket.reach(1);
      // Its place in the order is before what was handed out, and it counts as delivered.
      const late = { ...gone, state: 'delivered', deliveries: 1 };
      const { seq: _, ...fresh } = { ...gone, id: 'fresh' };
      await elsewhere.db.insertInto('commands').values(late).execute();
      await elsewhere.db.insertInto('commands').values(fresh).execute();
      clock.advance(5_000);
      await socket.reach(3);
      expect(socket.frames.map(({ id }) => id)).toEqual([kept, gap, 'fresh']);

      const asked = own.next('r2', 60);
      await until('the presence that asking makes', async () => {
        return (await other.call('GET', '/api/v1/robots/r2')).json.data.presence === 'online';
      });
      await elsewhere.db
        .insertInto('commands')
        .values({ ...fresh, id: 'for r2', robot_id: 'r2' })
        .execute();
      clock.advance(5_000);
      expect((await asked).data.id).toBe('for r2');
      // What it has is not handed to it again, however often it looks.
      clock.advance(5_000);
      clock.advance(5_000);
      const { command_id: last } = (await own.send('r1', goal)).data;
      await until('the last one', () => socket.frames.at(-1).id === last);
      expect(socket.frames).toHaveLength(4);
      await other.close();
    });

    it('says goodbye when the server stops, and answers who waits', async () => {
      const other = await startApp(kind);
      for (const id of ['r1', 'r2']) await addRobot(other, id);
      const socket = await openRobot(other.url, 'r1', other.admin.token);
      const asked = restDoor(other).next('r2', 60);
      await until('the presence that asking makes', async () => {
        return (await other.call('GET', '/api/v1/robots/r2')).json.data.presence === 'online';
      });
      await other.close();
      expect((await socket.closed).code).toBe(1_012);
      expect(await asked).toEqual({ status: 200, data: null });
    });
  });

  describe('the socket by itself', () => {
    async function mount({ isLimited = true } = {}) {
      const clock = createStoppedClock();
      const fastify = Fastify();
      const all = app().app.services;
      // The commands are those of this file's app, which goes on when this server stops.
      const services = { ...all, commands: { ...all.commands, disconnect() {} } };
      readCredentials(fastify, services.tickets);
      fastify.decorateRequest('identity', undefined);
      mountCommandSocket(fastify, {
        ...{ services, clock, isLimited, prefixes: [''] },
        log: pino({ level: 'silent' }),
        upgrades: createUpgrades(fastify),
        createContext: ({ credential }) =>
          ({
            services,
            authenticate: () => services.principals.resolve(credential),
            log: createLogger('silent', { write: () => {} }),
          }) as never,
      });
      const url = await fastify.listen({ port: 0, host: '127.0.0.1' });
      onTestFinished(() => fastify.close());
      return { clock, url };
    }

    it('ends a robot that is silent even when asked', async () => {
      const { clock, url } = await mount();
      const awake = await openRobot(url, robot, owner.token);
      // Whoever answers has been seen.
      async function pong(): Promise<void> {
        const path = `/api/v1/robots/${robot}`;
        const lastSeen = async () =>
          (await app().call('GET', path, undefined, owner.token)).json.data.last_seen_at;
        const before = await lastSeen();
        clock.advance(10_000);
        await until('the pong', async () => (await lastSeen()) !== before);
      }
      for (let n = 1; n <= 3; n += 1) await pong();
      await addRobot(app(), `${robot}-silent`, owner.token);
      const silent = await openRobot(url, `${robot}-silent`, owner.token, { autoPong: false });
      await pong();
      expect(awake.ws.readyState).toBe(WebSocket.OPEN);
      clock.advance(10_000);
      expect((await silent.closed).code).toBe(1_006);
    });

    it('takes so many messages a second', async () => {
      const { clock, url } = await mount();
      const socket = await openRobot(url, robot, owner.token);
      for (let n = 0; n < 60; n += 1) socket.say({ command_id: 'unknown', status: 'received' });
      const frames = await socket.reach(51);
      const limited = frames.filter(({ code }) => code === 'rate_limited');
      expect(limited).toEqual([
        {
          ...{ code: 'rate_limited', limit: 'messages_per_second', retry_after_ms: 1_000 },
          error: 'At most 50 messages a second; those above are dropped',
        },
      ]);
      clock.advance(1_000);
      socket.say({ command_id: 'unknown', status: 'received' });
      expect((await socket.reach(52)).at(-1)).toMatchObject({ code: 'not_found' });
    });

    it('takes any number where limits are off', async () => {
      const { url } = await mount({ isLimited: false });
      const socket = await openRobot(url, robot, owner.token);
      for (let n = 0; n < 200; n += 1) socket.say({ command_id: 'unknown', status: 'received' });
      for (const { code } of await socket.reach(200)) expect(code).toBe('not_found');
    });
  });
});

describeEachDatabase('a restart', (kind) => {
  async function restartable() {
    const database: TestDatabase = await kind.create();
    onTestFinished(database.dispose);
    const open = async () => {
      const app = await startApp(database);
      return { app, door: restDoor(app) };
    };
    const first = await open();
    await addRobot(first.app, 'r1');
    return { ...first, open };
  }

  it('loses no command in any state, and gives none twice but what was not acknowledged', async () => {
    const { app, door, open } = await restartable();
    const socket: RobotSocket = await openRobot(app.url, 'r1', app.admin.token);
    const states = ['delivered', 'received', 'in_progress', 'completed', 'failed', 'cancelled'];
    const ids: Record<string, string> = {};
    for (const state of states) {
      const { command_id } = (await door.send('r1', goal)).data;
      ids[state] = command_id;
      if (state === 'cancelled') await door.cancel('r1', command_id);
      else if (state !== 'delivered') await door.ack('r1', command_id, { status: state });
    }
    await socket.reach(states.length);
    socket.ws.terminate();
    await until('a command that has to wait', async () => {
      const { data } = await door.send('r1', goal);
      ids.queued ??= data.command_id;
      if (data.status === 'queued') ids.queued = data.command_id;
      return data.status === 'queued';
    });
    await app.close();

    const next = await open();
    for (const [state, id] of Object.entries(ids)) {
      expect([state, (await next.door.get('r1', id)).data.status]).toEqual([state, state]);
    }
    const again = await openRobot(next.app.url, 'r1', next.app.admin.token);
    await until('what waits', () => again.frames.some(({ id }) => id === ids.queued));
    const handed = new Map(again.frames.map(({ id, redelivered }) => [id, redelivered]));
    expect(handed.get(ids.delivered)).toBe(true);
    expect(handed.get(ids.queued)).toBeUndefined();
    for (const state of states.slice(1)) expect(handed.has(ids[state])).toBe(false);
    for (const status of ['received', 'completed']) {
      expect((await next.door.ack('r1', ids.in_progress!, { status })).status).toBe(200);
    }
  });

  it('resumes server-sent events', async () => {
    const { app, door, open } = await restartable();
    const path = '/api/v1/robots/r1/control/subscribe';
    const listen = ({ url, admin }: TestApp): Promise<SseReader> =>
      openSse(`${url}${path}`, { authorization: `Bearer ${admin.token}` });
    const before = await listen(app);
    const { command_id } = (await door.send('r1', goal)).data;
    await before.reach(1);
    await app.close();
    await before.ended;
    const next = await open();
    expect(await (await listen(next.app)).reach(1)).toMatchObject([
      { id: command_id, redelivered: true },
    ]);
  });
});
