import { expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/db/client.js';
import { type Answer, call } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { openRobot } from '../support/robot-socket.js';
import { logIn, startServer } from '../support/server-process.js';
import { until } from '../support/until.js';

const ROUNDS = 3;
const LIMIT_MS = 240_000;
const COMMANDS_A_ROUND = 60;
const SENDERS = 6;

describeEachDatabase('a server that is killed while commands are under way', (kind) => {
  it(
    'loses none, and hands none out again that was acknowledged',
    async () => {
      const database = await kind.create();
      onTestFinished(database.dispose);
      const sent = new Map<string, string>();
      const keys: string[] = [];
      const acknowledged = new Map<string, string>();
      const unanswered = new Map<string, string>();
      const handed = new Set<string>();
      const wrong: string[] = [];
      let redelivered = 0;

      /** One life of the server; it is killed when enough was sent, unless it is the last. */
      async function live(round: number): Promise<void> {
        const { url, stop } = await startServer(database);
        const token = await logIn(url);
        const control = `${url}/api/v1/robots/robot/control`;
        const robot = { robot_id: 'robot', robot_type: 'mobile_robot' };
        expect((await call(`${url}/api/v1/robots`, 'POST', robot, token)).status).toBe(200);
        let running = true;

        async function acknowledge(id: string, status: string): Promise<void> {
          const path = `${control}/${id}/ack`;
          unanswered.set(id, status);
          const answer = await call(path, 'POST', { status }, token).catch(() => undefined);
          if (!answer) return;
          unanswered.delete(id);
          if (answer.status === 200) acknowledged.set(id, status);
          else wrong.push(`${id}: ${answer.text}`);
        }
        // A robot says again what it does not know to have been heard.
        for (const [id, status] of unanswered) await acknowledge(id, status);
        async function onFrame({
          id,
          redelivered: again = false,
        }: {
          id: string;
          redelivered?: boolean;
        }) {
          if (acknowledged.has(id)) wrong.push(`${id} came again after ${acknowledged.get(id)}`);
          if (handed.has(id) && !again) wrong.push(`${id} came again as if it were new`);
          handed.add(id);
          if (again) redelivered += 1;
          // Some are left as they are, so that there is something in every state when the end comes.
          if (handed.size % 5 === 0 && round < ROUNDS) return;
          await acknowledge(id, 'received');
          if (handed.size % 2 === 0) await acknowledge(id, 'in_progress');
          if (handed.size % 3 === 0) await acknowledge(id, 'completed');
        }
        const socket = await openRobot(url, 'robot', token, { onFrame });

        async function send(key: string): Promise<boolean> {
          const response = await fetch(control, {
            method: 'POST',
            headers: { authorization: `Bearer ${token}`, 'idempotency-key': key },
            body: JSON.stringify({ action: 'move_to', parameters: { x: 1, y: 2 } }),
          }).catch(() => undefined);
          if (response?.status !== 200) return false;
          const { data } = (await response.json().catch(() => ({}))) as Answer['json'];
          if (!data) return false;
          const known = sent.get(key);
          if (known !== undefined && known !== data.command_id) wrong.push(`${key} was done twice`);
          sent.set(key, data.command_id);
          return true;
        }
        // What was not answered in the life before is sent again under its key, and some that was too.
        for (const key of keys) if (!sent.has(key) || Math.random() < 0.2) await send(key);
        if (round === ROUNDS) {
          await until(
            'all acknowledged, and nothing else under way',
            () => unanswered.size === 0 && [...sent.values()].every((id) => acknowledged.has(id)),
          );
          await stop();
          return;
        }
        const goal = sent.size + COMMANDS_A_ROUND;
        async function work(): Promise<void> {
          while (running) {
            const key = `key-${keys.length}`;
            keys.push(key);
            if (!(await send(key))) return;
          }
        }
        const workers = Promise.all(Array.from({ length: SENDERS }, work));
        await until('enough of them', () => sent.size >= goal);
        expect(await stop('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
        running = false;
        await workers;
        await socket.closed;
      }
      for (let round = 0; round <= ROUNDS; round += 1) await live(round);

      expect(wrong).toEqual([]);
      expect(redelivered).toBeGreaterThan(0);
      expect(sent.size).toBe(keys.length);
      const { db, close } = await openDatabase(database.config);
      onTestFinished(close);
      const rows = await db
        .selectFrom('commands')
        .select(['id', 'state', 'idempotency_key'])
        .execute();
      expect(new Map(rows.map(({ id, idempotency_key }) => [idempotency_key, id]))).toEqual(sent);
      for (const { id, state } of rows) expect([id, state]).toEqual([id, acknowledged.get(id)]);
      const events = await db
        .selectFrom('stream_events')
        .select('payload')
        .where('stream', '=', 'commands')
        .orderBy('id')
        .execute();
      const told = new Map(
        events.map(({ payload }) => {
          const { command_id, status } = JSON.parse(payload);
          return [command_id, status];
        }),
      );
      expect(told).toEqual(new Map(rows.map(({ id, state }) => [id, state])));
    },
    LIMIT_MS,
  );

  it('hands out nothing that expired while it was away', async () => {
    const database = await kind.create();
    onTestFinished(database.dispose);
    const first = await startServer(database);
    const token = await logIn(first.url);
    const robots = '/api/v1/robots';
    await call(`${first.url}${robots}`, 'POST', { robot_id: 'robot', robot_type: 'x' }, token);
    const send = async (ttl_seconds: number) => {
      const command = { action: 'pause', ttl_seconds };
      const { json } = await call(`${first.url}${robots}/robot/control`, 'POST', command, token);
      return json.data;
    };
    const short = await send(1);
    const long = await send(300);
    await first.stop('SIGKILL');
    await until('its end', () => Date.now() >= Date.parse(short.expires_at));
    const second = await startServer(database);
    const socket = await openRobot(second.url, 'robot', token);
    expect((await socket.reach(1)).map(({ id }) => id)).toEqual([long.command_id]);
    const path = `${second.url}${robots}/robot/control/${short.command_id}`;
    await until('the mark', async () => {
      const { json } = await call(path, 'GET', undefined, token);
      return json.data.status === 'expired';
    });
  });
});
