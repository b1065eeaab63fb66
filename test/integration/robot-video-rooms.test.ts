import { expect, it } from 'vitest';
import type { Principal, Scope } from '../../src/contract/access.js';
import { startApp } from '../support/app.js';
import { testDatabases } from '../support/databases.js';
import { createStoppedClock } from '../support/identity.js';
import { describeWithWorker } from '../support/media.js';
import { until } from '../support/until.js';

const sqlite = testDatabases[0]!;
const media = { rtc_port: 0, workers: 1, listen_ip: '127.0.0.1' };

describeWithWorker('the room of a robot', () => {
  async function start(options: Parameters<typeof startApp>[1] = {}) {
    const app = await startApp(sqlite, { config: { media }, ...options });
    const { services } = app.app;
    await app.call('POST', '/api/v1/robots', { robot_id: 'r1', robot_type: 'cart' });
    await app.call('POST', '/api/v1/robots', { robot_id: 'r2', robot_type: 'cart' });
    const keyFor = async (body: { robot_id?: string; scopes?: Scope[] }): Promise<Principal> => {
      const { json } = await app.call('POST', '/api/v1/keys', { name: 'k', ...body });
      return services.principals.resolve(json.data.key);
    };
    return { app, services, admin: app.admin.principal, keyFor };
  }

  it('takes those who send and those who watch, and counts the latter', async () => {
    const { services, admin, keyFor } = await start();
    const { robotVideo } = services;
    const robot = await robotVideo.enter(await keyFor({ robot_id: 'r1' }), 'r1', {
      role: 'publish',
      name: 'front',
    });
    expect(robot.room.id).toBe(`robot:${admin.account_id}:r1`);
    expect(robotVideo.viewers('r1')).toBe(0);
    const viewer = await robotVideo.enter(admin, 'r1', { role: 'watch' });
    expect([robotVideo.viewers('r1'), robotVideo.viewers('r2')]).toEqual([1, 0]);
    expect(viewer.room).toBe(robot.room);
    expect(robot.room.members()).toHaveLength(2);
    viewer.leave();
    viewer.leave();
    expect(robotVideo.viewers('r1')).toBe(0);
    expect(robot.room.members()).toEqual([robot.member]);
  });

  it('is closed to other accounts, other robots and keys without the scope', async () => {
    const { app, services, admin, keyFor } = await start();
    const { robotVideo } = services;
    const other = (await app.addAccount()).principal;
    const robotKey = await keyFor({ robot_id: 'r1' });
    const usual = await keyFor({});
    const sender = await keyFor({ scopes: ['video:publish'] });
    const refused = [
      [other, 'r1', 'watch', 'forbidden'],
      [other, 'r1', 'publish', 'forbidden'],
      [admin, 'nosuch', 'watch', 'not_found'],
      [robotKey, 'r2', 'publish', 'forbidden'],
      [robotKey, 'r1', 'watch', 'forbidden'],
      [usual, 'r1', 'publish', 'forbidden'],
      [sender, 'r1', 'watch', 'forbidden'],
    ] as const;
    for (const [principal, robotId, role, code] of refused) {
      await expect(robotVideo.enter(principal, robotId, { role })).rejects.toMatchObject({ code });
    }
    expect(robotVideo.viewers('r1')).toBe(0);
    const allowed = [
      [admin, 'publish'],
      [admin, 'watch'],
      [robotKey, 'publish'],
      [usual, 'watch'],
      [sender, 'publish'],
    ] as const;
    for (const [principal, role] of allowed) {
      (await robotVideo.enter(principal, 'r1', { role })).leave();
    }
  });

  it('says when a place is lost: by a revoked key, a deleted robot, the end of the room', async () => {
    const clock = createStoppedClock();
    const { app, services, admin } = await start({ clock });
    const { robotVideo, principals } = services;
    const { json } = await app.call('POST', '/api/v1/keys', { name: 'k', robot_id: 'r1' });
    const { key, id } = json.data;
    const ends: string[] = [];
    const enter = async (robotId: string, name: string, token: string) =>
      robotVideo.enter(await principals.resolve(token), robotId, {
        ...{ role: 'publish', name },
        authenticate: () => principals.resolve(token),
        onEnd: (reason) => ends.push(`${name} ${reason}`),
      });
    await enter('r1', 'revoked', key);
    await enter('r2', 'deleted', app.admin.token);
    const last = await robotVideo.enter(admin, 'r1', {
      role: 'watch',
      onEnd: (reason) => ends.push(`viewer ${reason}`),
    });
    clock.advance(5_000);
    await app.call('DELETE', `/api/v1/keys/${id}`);
    await app.call('DELETE', '/api/v1/robots/r2', { confirm: 'r2' });
    expect(ends).toEqual([]);
    await until('both to be sent away', () => {
      clock.advance(5_000);
      return ends.length === 2;
    });
    expect(ends.sort()).toEqual(['deleted access_ended', 'revoked access_ended']);
    await last.room.close('test');
    expect(ends.at(-1)).toBe('viewer room_closed');
    expect(robotVideo.viewers('r1')).toBe(0);
  });
});
