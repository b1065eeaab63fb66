import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createPool, type PoolOptions } from '../../src/media/mediasoup/pool.js';
import { createStoppedClock } from '../support/identity.js';
import {
  describeWithWorker,
  listenTo,
  mediaOptions,
  memberSpec,
  startMedia,
  watchEngine,
} from '../support/media.js';
import { until } from '../support/until.js';

const ROOM = { maxMembers: 10 };

function startPool(options: Partial<PoolOptions> = {}) {
  const pool = createPool(mediaOptions(options));
  onTestFinished(pool.close);
  return pool;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describeWithWorker('media workers', () => {
  it('run from the first room on, and end with the provider', async () => {
    const { workers } = await watchEngine();
    const media = startMedia({ workers: 2 });
    expect(await media.health()).toEqual({ ok: true, workers: 0 });
    expect(media.counts()).toEqual({ rooms: 0, members: 0, workers: 0, workerRestarts: 0 });
    expect(workers).toEqual([]);

    await media.openRoom('a', ROOM);
    await until('both workers', () => media.counts().workers === 2);
    expect(await media.health()).toEqual({ ok: true, workers: 2 });

    await media.close();
    expect(workers.map(({ pid }) => isRunning(pid))).toEqual([false, false]);
    await expect(media.openRoom('b', ROOM)).rejects.toMatchObject({
      reason: 'unavailable',
      message: 'Video is not available: the server is stopping',
    });
  });

  it('share the load: the one with the least open is chosen', async () => {
    const pool = startPool({ workers: 2 });
    await pool.choose();
    await until('both workers', () => pool.running() === 2);
    const first = await pool.choose();
    await first.worker.createRouter();
    const second = await pool.choose();
    expect(second).not.toBe(first);
    const router = await second.worker.createRouter();
    await router.createDirectTransport();
    expect(await pool.choose()).toBe(first);
    router.close();
    expect(second.load()).toBe(0);
    expect(await pool.choose()).toBe(second);
  });

  it('tell the members when one dies, and the room can be opened again at once', async () => {
    const { workers } = await watchEngine();
    const media = startMedia();
    const room = await media.openRoom('a', ROOM);
    const member = await room.join(memberSpec('m'));
    const heard = listenTo(room);
    const reopened = new Promise<unknown>((resolve) => {
      room.on('closed', () => resolve(media.openRoom('a', ROOM)));
    });

    process.kill(workers[0]!.pid, 'SIGKILL');
    const again = (await reopened) as typeof room;
    expect(heard).toEqual([['closed', { reason: 'worker_lost' }]]);
    expect(again).not.toBe(room);
    expect(media.room('a')).toBe(again);
    expect(media.counts()).toEqual({ rooms: 1, members: 0, workers: 1, workerRestarts: 1 });
    await again.join(memberSpec('m'));

    await expect(room.join(memberSpec('n'))).rejects.toMatchObject({ reason: 'closed' });
    await expect(member.native!.createTransport('send')).rejects.toMatchObject({
      reason: 'closed',
    });
    await member.leave();
    await room.close('again');
    expect(media.room('a')).toBe(again);
  });

  it('are started again later each time, and soon when the last one lasted', async () => {
    const { workers } = await watchEngine();
    const clock = createStoppedClock();
    const pool = startPool({ clock });
    await pool.choose();

    async function isBackAfter(delayMs: number) {
      process.kill(workers.at(-1)!.pid, 'SIGKILL');
      await until('its death', () => pool.running() === 0);
      const started = workers.length;
      expect(pool.problem()).toMatch(/SIGKILL/);
      clock.advance(delayMs - 1);
      expect(workers).toHaveLength(started);
      clock.advance(1);
      await until('the next', () => pool.running() === 1);
    }
    await isBackAfter(250);
    await isBackAfter(500);
    await isBackAfter(1_000);
    clock.advance(60_000);
    await isBackAfter(250);
    expect(pool.restarts()).toBe(4);
    expect(pool.problem()).toBeUndefined();
  });

  it('wait for a port that is taken, and do not let callers wait for ever', async () => {
    const owner = createServer().listen(0, '127.0.0.1');
    await once(owner, 'listening');
    const { port } = owner.address() as { port: number };
    const clock = createStoppedClock();
    const pool = startPool({ clock, rtcPort: port });
    const impatient = pool.choose();
    await until('the first try', () => pool.problem()?.includes('address already in use'));
    const refused = expect(impatient).rejects.toMatchObject({
      reason: 'unavailable',
      message: 'Video is not available: no worker of it runs; the log of the server says why',
      details: { retryAfterMs: 5_000 },
    });
    clock.advance(5_000);
    await refused;

    await new Promise((closed) => owner.close(closed));
    await until('a try after it', () => {
      clock.advance(1_000);
      return pool.running() === 1;
    });
    const { server } = await pool.choose();
    const { tcpServers, udpSockets } = await server.dump();
    expect([...tcpServers, ...udpSockets]).toEqual([
      { ip: '127.0.0.1', port },
      { ip: '127.0.0.1', port },
    ]);
  });

  it('are looked for whenever a room is opened, so video comes when the set-up is done', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fleetwire-media-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const workerBinary = join(folder, 'mediasoup-worker');
    const media = startMedia({ workerBinary });
    const detail = 'MEDIASOUP_WORKER_BIN names a file that is not there';
    expect(await media.health()).toEqual({ ok: false, workers: 0, detail });
    await expect(media.openRoom('a', ROOM)).rejects.toMatchObject({
      code: 'unavailable',
      message: `Video is not available: ${detail}`,
    });

    await writeFile(workerBinary, '');
    expect(await media.health()).toEqual({ ok: true, workers: 0 });
    await media.openRoom('a', ROOM);
  });

  it('stay off when they are switched off', async () => {
    const media = startMedia({ enabled: false });
    const detail = 'media.enabled is false';
    expect(await media.health()).toEqual({ ok: false, workers: 0, detail });
    await expect(media.openRoom('a', ROOM)).rejects.toMatchObject({
      code: 'unavailable',
      message: `Video is not available: ${detail}`,
    });
  });
});
