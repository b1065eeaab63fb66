import { expect, it } from 'vitest';
import { startApp } from '../support/app.js';
import { testDatabases } from '../support/databases.js';
import { describeWithWorker, listenTo, memberSpec, watchEngine } from '../support/media.js';
import { until } from '../support/until.js';

const sqlite = testDatabases[0]!;
const media = { rtc_port: 0, workers: 1, listen_ip: '127.0.0.1' };

describeWithWorker('video in the whole server', () => {
  async function start(config: Partial<typeof media & { enabled: boolean }> = {}) {
    const server = await startApp(sqlite, { config: { media: { ...media, ...config } } });
    const read = (path: string) => server.call('GET', path, undefined, null);
    return { server, rooms: server.app.media, read };
  }

  it('is measured, and ends with the server', async () => {
    const { workers } = await watchEngine();
    const { server, rooms, read } = await start();
    expect((await read('/health')).json.video).toBe('on');
    expect((await read('/metrics')).text).toMatch(/^fleetwire_media_workers 0$/m);

    const lost = await rooms.openRoom('a', { maxMembers: 2 });
    const heardOfLost = listenTo(lost);
    process.kill(workers[0]!.pid, 'SIGKILL');
    await until('its end', () => heardOfLost.length === 1);
    const room = await rooms.openRoom('a', { maxMembers: 2 });
    await room.join(memberSpec('m'));
    const { text } = await read('/metrics');
    expect(text).toMatch(/^fleetwire_media_rooms 1$/m);
    expect(text).toMatch(/^fleetwire_media_members 1$/m);
    expect(text).toMatch(/^fleetwire_media_workers 1$/m);
    expect(text).toMatch(/^fleetwire_media_worker_restarts 1$/m);

    const heard = listenTo(room);
    await server.close();
    expect(heard).toEqual([['closed', { reason: 'stopping' }]]);
    expect(workers.map(({ subprocessClosed }) => subprocessClosed)).toEqual([true, true]);
  });

  it('is off when the configuration says so, and the server is well without it', async () => {
    const { read, rooms } = await start({ enabled: false });
    const { status, json } = await read('/health');
    expect([status, json.status, json.video]).toEqual([200, 'ok', 'off']);
    await expect(rooms.openRoom('a', { maxMembers: 2 })).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});
