import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { call } from '../support/app.js';
import { runProgram, startProgram } from '../support/command.js';
import { testDatabases } from '../support/databases.js';
import { logIn, startServer } from '../support/server-process.js';
import { until } from '../support/until.js';

const PROGRAM = resolve(import.meta.dirname, '../../examples/python/robot.py');
const ROBOT = 'py-robot-001';

/** Why it cannot run here, or undefined. */
function missingPython(): string | undefined {
  try {
    const version = execFileSync('python3', ['--version'], { encoding: 'utf8' });
    const [, major, minor] = /(\d+)\.(\d+)/.exec(version) ?? [];
    return Number(major) === 3 && Number(minor) >= 9 ? undefined : `${version.trim()} is too old`;
  } catch {
    return 'there is no python3';
  }
}

async function start() {
  const database = await testDatabases[0]!.create();
  onTestFinished(database.dispose);
  const server = await startServer(database, { KAIROIO_FEATURES_RATE_LIMITING_ENABLED: 'true' });
  const token = await logIn(server.url);
  const api = async (method: string, path: string, body?: unknown) => {
    const { json } = await call(`${server.url}/api/v1${path}`, method, body, token);
    return json.data;
  };
  return {
    ...{ database, server, api },
    run: (key: string, ...args: string[]) =>
      startProgram('python3', [PROGRAM, '--url', server.url, ...args], {
        env: { FLEETWIRE_TOKEN: key },
      }),
    command: (body: object) => api('POST', `/robots/${ROBOT}/control`, body),
    /** How a command stands, once it has ended. */
    ended: (id: string) =>
      until(`the end of ${id}`, async () => {
        const found = await api('GET', `/robots/${ROBOT}/control/${id}`);
        return ['completed', 'failed', 'expired', 'cancelled'].includes(found.status) && found;
      }),
  };
}

const skipped = missingPython();
const title = 'the robot in Python';

describe.skipIf(skipped)(skipped ? `${title} (skipped: ${skipped})` : title, () => {
  it('registers, reports, and does what it is told', async () => {
    const { api, run, command, ended } = await start();
    const { key } = await api('POST', '/keys', { name: 'python' });
    const robot = run(key, '--rate', '20', '--name', 'Py');
    await robot.says(/Robot registered successfully: py-robot-001/);
    expect(await api('GET', `/robots/${ROBOT}`)).toMatchObject({ robot_name: 'Py' });
    const status = async () => (await api('GET', `/robots/${ROBOT}/status`)).status;
    await until('a status', async () => (await status())?.status === 'idle');

    await ended((await command({ action: 'set_speed', parameters: { speed: 2 } })).command_id);
    const goal = { x: 0.6, y: -0.8 };
    const moved = await ended((await command({ action: 'move_to', parameters: goal })).command_id);
    expect(moved).toMatchObject({ status: 'completed', message: 'arrived', deliveries: 1 });
    await until('the place', async () => (await status()).local_position.x === 0.6);
    expect((await status()).local_position).toMatchObject(goal);

    const far = await command({ action: 'move_to', parameters: { x: 500, y: 0 } });
    await until('it to drive', async () => (await status()).status === 'active');
    const stop = await command({ action: 'stop' });
    expect(await ended(stop.command_id)).toMatchObject({ status: 'completed', message: 'stopped' });
    expect(['failed', 'cancelled']).toContain((await ended(far.command_id)).status);
    await until('it to stand', async () => (await status()).status === 'stopped');
    const photo = await ended((await command({ action: 'take_photo' })).command_id);
    expect(photo).toMatchObject({ status: 'failed', message: 'this robot cannot take_photo' });

    const { logs } = await api('GET', `/robots/${ROBOT}/logs?topic=commands`);
    expect(logs.map(({ message }: { message: string }) => message)).toContain('told to move_to');
    robot.child.kill('SIGTERM');
    expect(await robot.ended).toEqual({ code: 0, signal: null });
    expect(robot.err()).toBe('');
  });

  it('loses no sample while the server is away', async () => {
    const { database, server, api, run, command, ended } = await start();
    await api('POST', '/robots', { robot_id: ROBOT, robot_type: 'x' });
    // Its own key, which cannot register it.
    const { key } = await api('POST', '/keys', { name: 'py', robot_id: ROBOT });
    const robot = run(key, '--rate', '50');
    await until('a status', async () => {
      return (await api('GET', `/robots/${ROBOT}/status`)).status !== null;
    });
    await server.stop();
    await robot.says(/[1-9]\d samples wait .*Connection refused/);
    const port = new URL(server.url).port;
    await startServer(database, { KAIROIO_SERVER_PORT: port });
    await robot.says(/the server is back, [1-9]\d+ samples waited/);
    const stop = await command({ action: 'stop' });
    expect(await ended(stop.command_id)).toMatchObject({ status: 'completed' });
    robot.child.kill('SIGTERM');
    expect(await robot.ended).toEqual({ code: 0, signal: null });
    const [, made, unsent] =
      /stopped after (\d+) samples, (\d+) of them not sent/.exec(robot.out()) ?? [];
    expect(unsent).toBe('0');
    const end = encodeURIComponent(new Date(Date.now() + 60_000).toISOString());
    const { count } = await api(
      'GET',
      `/robots/${ROBOT}/history?start=2020-01-01T00:00:00Z&end=${end}`,
    );
    expect(count).toBe(Number(made));
  });

  it('says what it needs', async () => {
    const help = await runProgram('python3', [PROGRAM, '--help']);
    expect(help).toMatchObject({ code: 0, out: expect.stringContaining('--buffer') });
    const bare = await runProgram('python3', [PROGRAM]);
    expect(bare).toMatchObject({ code: 2, err: expect.stringContaining('FLEETWIRE_TOKEN') });
    const { run } = await start();
    const stranger = run('wrong');
    expect((await stranger.ended).code).toBe(1);
    await until('the reason', () => stranger.err().includes('Invalid certification key'));
    expect(stranger.err()).not.toContain('Traceback');
  });
});
