import { expect, it, onTestFinished } from 'vitest';
import { call } from '../support/app.js';
import { runCommand, startCommand } from '../support/command.js';
import { testDatabases } from '../support/databases.js';
import { startServer } from '../support/server-process.js';
import { until } from '../support/until.js';

const COUNTS = /(\d+) robots {2}sent (\d+) {2}ok (\d+) {2}failed (\d+)/;

async function emptyDatabase() {
  const database = await testDatabases[0]!.create();
  onTestFinished(database.dispose);
  return database;
}

async function logIn(url: string): Promise<string> {
  const login = { username: 'kairoio', password: 'kairoio' };
  const { json } = await call(`${url}/api/v1/auth/login`, 'POST', login);
  return json.data.certification_key;
}

/** Statuses of the first robot so far. */
async function statusCount(url: string): Promise<number> {
  const path = `${url}/api/v1/robots/sim-robot-001/trajectory`;
  const { json } = await call(path, 'GET', undefined, await logIn(url));
  return json.data?.count ?? 0;
}

async function server(env: Record<string, string> = {}) {
  const started = await startServer(await emptyDatabase(), {
    KAIROIO_FEATURES_RATE_LIMITING_ENABLED: 'true',
    ...env,
  });
  const token = await logIn(started.url);
  return {
    ...started,
    token,
    get: async (path: string) =>
      (await call(`${started.url}/api/v1${path}`, 'GET', undefined, token)).json.data,
    post: async (path: string, body: unknown) =>
      (await call(`${started.url}/api/v1${path}`, 'POST', body, token)).json.data,
  };
}

function simulate(url: string, ...args: string[]) {
  return ['robot', 'simulate', '--url', url, ...args];
}

it('drives robots that the server then knows, and leaves no key behind', async () => {
  // All robots together send more than one credential may, so each must have its own.
  const { url, get } = await server({ KAIROIO_LIMITS_REQUESTS_PER_SECOND: '30' });
  const run = await runCommand(
    simulate(url, '--robots', '5', '--rate', '10', '--duration', '2s', '--seed', '7'),
  );
  expect(run.err).toBe('');
  expect(run.code).toBe(0);
  expect(run.out).toContain(`Driving 5 robots (sim-robot-001 …) at 10 statuses/s each`);
  const [, robots, sent, ok, failed] = COUNTS.exec(run.out.split('Stopped after')[1] ?? '') ?? [];
  expect({ robots, failed }).toEqual({ robots: '5', failed: '0' });
  expect(ok).toBe(sent);

  const list = await get('/robots');
  expect(list.robots.map(({ id }: { id: string }) => id).sort()).toEqual(
    [1, 2, 3, 4, 5].map((index) => `sim-robot-00${index}`),
  );
  let statuses = 0;
  for (const { id, presence } of list.robots) {
    expect(presence).toBe('online');
    const { path, count } = await get(`/robots/${id}/trajectory`);
    statuses += count;
    const places = new Set(path.map(({ x, y }: { x: number; y: number }) => `${x} ${y}`));
    expect(places.size).toBeGreaterThan(count / 2);
    expect(path.every(({ lat }: { lat: number }) => Math.abs(lat - 25.033) < 0.01)).toBe(true);
    expect((await get(`/robots/${id}/status`)).status.laser_scan.ranges).toHaveLength(19);
  }
  // What is not a status is a log or an alert; each robot began with a log.
  expect(statuses).toBeGreaterThan(40);
  expect(Number(ok) - statuses).toBeGreaterThanOrEqual(5);
  expect(Number(ok) - statuses).toBeLessThan(statuses / 2);

  const { keys } = await get('/keys');
  expect(keys).toHaveLength(5);
  for (const key of keys) {
    expect(key).toMatchObject({ robot_id: expect.stringMatching(/^sim-robot-00\d$/) });
    expect(key.revoked_at).not.toBeNull();
  }
});

it('has robots that do what they are told, each on its own', async () => {
  const { url, get, post } = await server();
  const command = startCommand(simulate(url, '--robots', '3', '--rate', '5', '--seed', '3'));
  const status = async (robot: string) => (await get(`/robots/${robot}/status`))?.status ?? {};
  const [first, second, third] = [1, 2, 3].map((index) => `sim-robot-00${index}`) as [
    string,
    string,
    string,
  ];
  for (const robot of [first, second, third]) {
    await until(`${robot} to drive`, async () => (await status(robot)).mode === 'auto');
  }
  const send = async (robot: string, action: string, parameters = {}): Promise<string> =>
    (await post(`/robots/${robot}/control`, { action, parameters })).command_id;
  const ended = (robot: string, id: string) =>
    until(`the end of ${id}`, async () => {
      const found = await get(`/robots/${robot}/control/${id}`);
      return ['completed', 'failed', 'cancelled', 'expired'].includes(found.status) && found;
    });

  const { x, y } = (await status(first)).local_position;
  const goal = { x: x + 2, y: y - 1 };
  const moved = await ended(first, await send(first, 'move_to', goal));
  expect(moved).toMatchObject({ status: 'completed', message: 'arrived', deliveries: 1 });
  for (const step of ['delivered_at', 'received_at', 'started_at', 'finished_at']) {
    expect(moved[step]).toEqual(expect.any(String));
  }
  await until('it to stand there', async () => {
    const { mode, local_position: at } = await status(first);
    return mode === 'command' && Math.hypot(at.x - goal.x, at.y - goal.y) < 0.01;
  });

  await post('/actions', { name: 'wave' });
  expect(await ended(second, await send(second, 'wave'))).toMatchObject({
    ...{ status: 'failed', message: 'This robot cannot wave' },
  });

  const far = await send(third, 'move_to', { x: 60, y: 60 });
  await until('it to drive', async () => (await status(third)).mode === 'command');
  const later = await send(third, 'dock');
  const { robots } = await post('/fleet/stop', { reason: 'test' });
  expect(robots).toHaveLength(3);
  for (const robot of [first, second, third]) {
    await until(`${robot} to stop`, async () => (await status(robot)).status === 'stopped');
  }
  for (const id of [far, later]) {
    expect(['failed', 'cancelled']).toContain((await ended(third, id)).status);
  }
  const place = (await status(third)).local_position;
  await post('/fleet/stop/clear', undefined);
  expect(await ended(third, await send(third, 'resume'))).toMatchObject({ status: 'completed' });
  await until('it to drive on', async () => {
    const { status: shown, local_position: at } = await status(third);
    return shown === 'active' && Math.hypot(at.x - place.x, at.y - place.y) > 0.1;
  });
  expect((await status(second)).status).toBe('stopped');

  command.child.kill('SIGINT');
  expect(await command.ended).toEqual({ code: 0, signal: null });
  // move_to, wave, three stops, resume; what the stop cancelled counts when its robot had said so first.
  const [, done, failed] = /commands (\d+) done (\d+) failed/.exec(command.out()) ?? [];
  expect(Number(done)).toBe(5);
  expect(Number(failed)).toBeGreaterThanOrEqual(1);
  expect(Number(failed)).toBeLessThanOrEqual(3);
  const { logs } = await get(`/robots/${third}/logs?topic=safety`);
  expect(logs).toMatchObject([{ message: 'stopped by command', level: 'warn' }]);
});

it('goes on through a restart of the server, and ends with a summary on Ctrl-C', async () => {
  const database = await emptyDatabase();
  const first = await startServer(database);
  const command = startCommand(simulate(first.url, '--robots', '2', '--rate', '20'));
  await until('statuses', async () => (await statusCount(first.url)) > 0);
  await first.stop();
  await command.says(/connection lost: \w+; trying again/);
  const second = await startServer(database, { KAIROIO_SERVER_PORT: new URL(first.url).port });
  expect(second.url).toBe(first.url);
  await command.says(/connected again after [\d.]+ s/);
  const before = await statusCount(second.url);
  await until('further statuses', async () => (await statusCount(second.url)) > before);
  command.child.kill('SIGINT');
  expect(await command.ended).toEqual({ code: 0, signal: null });
  expect(command.out()).toMatch(/Stopped after [\d.]+ s\. 2 robots/);
});

it('refuses to go faster than the server allows one credential', async () => {
  const { url, post } = await server({ KAIROIO_LIMITS_REQUESTS_PER_SECOND: '20' });
  const own = await runCommand(simulate(url, '--robots', '2', '--rate', '21', '--duration', '1s'));
  expect(own.code).toBe(2);
  expect(own.err).toContain('each robot would send 21 requests/s with its key');
  expect(own.err).toContain('the server allows 20 (limits.requests_per_second)');

  const scopes = ['robots:read', 'robots:write', 'status:write', 'logs:write', 'alerts:write'];
  const { key } = await post('/keys', { name: 'no keys', scopes });
  const shared = (...args: string[]) =>
    runCommand(simulate(url, '--duration', '1s', ...args), { env: { FLEETWIRE_TOKEN: key } });
  const fast = await shared('--robots', '11', '--rate', '2');
  expect(fast.code).toBe(2);
  expect(fast.err).toContain('11 robots would send 22 requests/s with one key');
  expect(fast.err).not.toContain(key);
  const slow = await shared('--robots', '2', '--rate', '2');
  expect(slow).toMatchObject({ code: 0, err: '' });
});

it('waits as long as the server says, and tells why', async () => {
  const { url } = await server({ KAIROIO_LIMITS_REQUESTS_PER_SECOND_PER_IP: '30' });
  const { code, out } = await runCommand(
    simulate(url, '--robots', '5', '--rate', '20', '--duration', '3s'),
  );
  expect(code).toBe(0);
  expect(out).toMatch(
    /the server asks for a pause: .*requests_per_second_per_ip is 30 \(waiting 1 s\)/,
  );
  const [, , sent, ok, failed] = COUNTS.exec(out.split('Stopped after')[1] ?? '') ?? [];
  expect(Number(ok)).toBeGreaterThan(0);
  // Unheeded, every robot would have been refused some fifteen times each second.
  expect(Number(failed)).toBeLessThan(40);
  expect(Number(sent)).toBe(Number(ok) + Number(failed));
});

it('says why nothing got through, with exit code 1', async () => {
  const { url, post, stop } = await server();
  await post('/robots', { robot_id: 'r', robot_type: 'x' });
  const { key } = await post('/keys', { name: 'one robot', robot_id: 'r' });
  const wrong = await runCommand(simulate(url), { env: { FLEETWIRE_TOKEN: 'wrong' } });
  expect(wrong).toMatchObject({
    code: 1,
    err: expect.stringContaining('The token is not accepted'),
  });
  const robot = await runCommand(simulate(url), { env: { FLEETWIRE_TOKEN: key } });
  expect(robot.code).toBe(1);
  expect(robot.err).toContain('This is the key of the robot r alone');
  await stop();
  const gone = await runCommand(simulate(url));
  expect(gone.code).toBe(1);
  expect(gone.err).toMatch(/No Fleetwire answers at .*ECONNREFUSED/);
});

it.each([
  [['--robots', '0'], 'a whole number from 1 to 1000'],
  [['--rate', 'fast'], 'a number from 0.01 to 1000'],
  [['--duration', '60'], 'with its unit'],
  [['--seed', '-1'], 'a whole number from 0'],
  [['--prefix', 'a/b'], 'letters'],
  [['--url', 'localhost:8080'], '--url must be the address of a server'],
  [['--username', 'me'], 'FLEETWIRE_PASSWORD'],
  [['--url', 'http://192.0.2.1'], 'another machine'],
  [['--colour'], 'unknown option'],
])('ends with exit code 2 for %j', async (args, complaint) => {
  const { code, err } = await runCommand(['robot', 'simulate', ...args]);
  expect(code).toBe(2);
  expect(err).toContain(complaint);
});
