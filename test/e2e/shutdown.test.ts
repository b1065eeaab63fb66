import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { openDatabase } from '../../src/db/client.js';
import { call } from '../support/app.js';
import { describeEachDatabase, testDatabases } from '../support/databases.js';
import { startLoad } from '../support/load.js';
import { logIn, startServer } from '../support/server-process.js';
import { until } from '../support/until.js';

const STOP_LIMIT_MS = 5_000;
const CLOSE_RESTART = 1_012;

interface Frame {
  id: number | null;
  method?: string;
  result?: { type: string; data?: { robot_id: string } };
}

/** A dashboard that watches the live statuses over a bare WebSocket. */
async function watch(url: string, token: string) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/trpc?connectionParams=1`);
  onTestFinished(() => socket.terminate());
  const frames: Frame[] = [];
  socket.on('message', (data) => {
    if (String(data) !== 'PING') frames.push(JSON.parse(String(data)));
  });
  const closed = once(socket, 'close').then(([code]) => code as number);
  await once(socket, 'open');
  socket.send(JSON.stringify({ method: 'connectionParams', data: { token } }));
  const params = { path: 'status.live', input: {} };
  socket.send(JSON.stringify({ id: 1, method: 'subscription', params }));
  await until('the first live status', () => frames.some(({ result }) => result?.data));
  return { frames, closed };
}

describeEachDatabase('a server that is told to stop under load', (kind) => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s, keeps what it said and is gone in time',
    async (signal) => {
      const database = await kind.create();
      onTestFinished(database.dispose);
      const { url, stop, output } = await startServer(database);
      const token = await logIn(url);
      await call(`${url}/api/v1/robots`, 'POST', { robot_id: 'robot', robot_type: 'r' }, token);
      const load = startLoad({ url, token, robotId: 'robot', tag: 'load' });
      const { frames, closed } = await watch(url, token);
      await load.reach(300);

      const startMs = performance.now();
      const ended = await stop(signal);
      expect(performance.now() - startMs).toBeLessThan(STOP_LIMIT_MS);
      expect(ended).toEqual({ code: 0, signal: null });
      expect(output()).toContain(`${signal}: stopping`);
      expect(output()).toContain('Stopped: everything that was accepted is stored.');
      expect(output()).not.toMatch(/"level":(50|60)/);

      expect(await closed).toBe(CLOSE_RESTART);
      expect(frames).toContainEqual({ id: null, method: 'reconnect' });

      await load.stop();
      // Answered, refused as stopping, or not even taken: nothing is left hanging.
      for (const failure of load.failures) expect([503, 'closed']).toContain(failure);
      const { db, close } = await openDatabase(database.config);
      onTestFinished(close);
      const rows = await db.selectFrom('robot_statuses').select('event_id').execute();
      const stored = new Set(rows.map(({ event_id }) => event_id));
      expect(load.acknowledged.filter((id) => !stored.has(id))).toEqual([]);
    },
  );
});

describe('a server that is told to stop', () => {
  const sqlite = testDatabases[0]!;
  async function start() {
    const database = await sqlite.create();
    onTestFinished(database.dispose);
    return startServer(database);
  }

  it('waits for nobody who holds a connection open or sends slowly', async () => {
    const { url, stop } = await start();
    const { port } = new URL(url);
    const idle = connect(Number(port), '127.0.0.1');
    const slow = connect(Number(port), '127.0.0.1');
    for (const socket of [idle, slow]) {
      socket.on('error', () => {});
      await once(socket, 'connect');
    }
    slow.write('POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{');
    await call(`${url}/health`, 'GET');
    const startMs = performance.now();
    expect(await stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - startMs).toBeLessThan(STOP_LIMIT_MS);
  });

  it('stops at once when nobody is there', async () => {
    const { stop } = await start();
    const startMs = performance.now();
    expect(await stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });
});
