import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { call } from '../support/app.js';
import { runCommand } from '../support/command.js';
import { describeEachDatabase, testDatabases } from '../support/databases.js';
import { databaseEnv, startServer } from '../support/server-process.js';

const STOP_LIMIT_MS = 5_000;

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fleetwire-cli-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('help', () => {
  it.each([
    [[], ['serve', 'migrate', 'account', 'robot', 'openapi', 'Exit codes: 0 done']],
    [['serve'], ['--config <file>', 'SIGTERM']],
    [['migrate'], ['--config <file>', '--status']],
    [['account'], ['create']],
    [
      ['account', 'create'],
      ['--email <address>', '--config <file>', 'standard input'],
    ],
    [['robot'], ['simulate']],
    [
      ['robot', 'simulate'],
      [
        ...['--robots <n>', '--rate <hz>', '--url <url>', '--token <token>', '--username <name>'],
        ...['--duration <time>', '--seed <n>', '--prefix <text>', 'default admin'],
      ],
    ],
    [['openapi'], ['--write [file]']],
  ])('of %j says what there is', async (args, expected) => {
    const { code, out, err } = await runCommand([...args, '--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^Usage: fleetwire/);
    for (const text of expected) expect(out).toContain(text);
  });

  it('has the version of the package', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(await runCommand(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });
});

describe('what is asked for and wrong ends with exit code 2', () => {
  it.each([
    [['fly'], "unknown command 'fly'"],
    [['serve', '--fast'], "unknown option '--fast'"],
    [['account', 'create'], "required option '--email <address>' not specified"],
    [['serve', '--config', 'nowhere.yaml'], 'nowhere.yaml cannot be read'],
  ])('for %j', async (args, complaint) => {
    const { code, out, err } = await runCommand(args, { cwd: await emptyFolder() });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(complaint);
  });

  it.each([['serve'], ['migrate']])(
    'with every problem of the configuration, for %s',
    async (command) => {
      const cwd = await emptyFolder();
      const text = 'server:\n  port: many\n  read_timeout: 15\nlog:\n  level: loud\n';
      await writeFile(join(cwd, 'config.yaml'), text);
      const env = { KAIROIO_DATABASE_TYPE: 'oracle' };
      const { code, err } = await runCommand([command], { cwd, env });
      expect(code).toBe(2);
      for (const key of [
        'server.port',
        'server.read_timeout',
        'log.level',
        'KAIROIO_DATABASE_TYPE',
      ]) {
        expect(err).toContain(key);
      }
    },
  );

  it('for an account without a proper password', async () => {
    const args = ['account', 'create', '--email', 'you@example.com'];
    const { code, err } = await runCommand(args, { cwd: await emptyFolder(), input: 'short\n' });
    expect(code).toBe(2);
    expect(err).toContain('password');
    expect(err).not.toContain('short\n');
  });
});

describe('the configuration', () => {
  it.each<[string, { files?: string[]; args?: string[]; env?: Record<string, string> }, string]>([
    ['needs no file', {}, 'data/fleetwire.db'],
    ['is config.yaml here', { files: ['config'] }, 'config.db'],
    [
      'is what KAIROIO_CONFIG names instead',
      { files: ['config', 'other'], env: { KAIROIO_CONFIG: 'other.yaml' } },
      'other.db',
    ],
    [
      'is what --config names before all',
      {
        files: ['config', 'other', 'third'],
        args: ['--config', 'third.yaml'],
        env: { KAIROIO_CONFIG: 'other.yaml' },
      },
      'third.db',
    ],
    [
      'is overridden by variables, whichever file it is',
      {
        files: ['config', 'third'],
        args: ['--config', 'third.yaml'],
        env: { KAIROIO_DATABASE_DSN: 'variable.db' },
      },
      'variable.db',
    ],
  ])('%s', async (_title, { files = [], args = [], env = {} }, expected) => {
    const cwd = await emptyFolder();
    for (const name of files) {
      await writeFile(join(cwd, `${name}.yaml`), `database: {dsn: ${name}.db}\n`);
    }
    const { code, err } = await runCommand(['migrate', ...args], { cwd, env });
    expect({ code, err }).toMatchObject({ code: 0 });
    const found = await readdir(cwd, { recursive: true });
    expect(found.filter((name) => name.endsWith('.db'))).toEqual([expected]);
  });
});

describe('serve', () => {
  it('ends with exit code 1 when the port is taken, and says so', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void other.close());
    const address = other.address();
    const port = typeof address === 'object' ? String(address?.port) : '';
    const { code, err } = await runCommand(['serve'], {
      cwd: await emptyFolder(),
      env: {
        KAIROIO_SERVER_HOST: '127.0.0.1',
        KAIROIO_SERVER_PORT: port,
        KAIROIO_LOG_LEVEL: 'fatal',
      },
    });
    expect(code).toBe(1);
    expect(err).toBe(
      `Port ${port} is taken; stop what uses it, or set KAIROIO_SERVER_PORT to another\n`,
    );
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'stops within 5 s on %s, with exit code 0',
    async (signal) => {
      const database = await testDatabases[0]!.create();
      onTestFinished(database.dispose);
      const server = await startServer(database);
      const startedMs = performance.now();
      expect(await server.stop(signal)).toEqual({ code: 0, signal: null });
      expect(performance.now() - startedMs).toBeLessThan(STOP_LIMIT_MS);
      expect(server.output()).toContain(`${signal}: stopping`);
      expect(server.output()).toContain('everything that was accepted is stored');
    },
  );
});

describeEachDatabase('commands on a database', ({ create }) => {
  it('migrate: pending, done, up to date', async () => {
    const database = await create();
    onTestFinished(database.dispose);
    const options = { cwd: await emptyFolder(), env: databaseEnv(database) };
    const before = await runCommand(['migrate', '--status'], options);
    expect(before.code).toBe(1);
    expect(before.out).toMatch(/^0001-core {2}pending$/m);
    expect(before.err).toMatch(/^\d+ pending; run: fleetwire migrate$/m);
    expect(await runCommand(['migrate'], options)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^0001-core {2}done$/m),
    });
    const after = await runCommand(['migrate', '--status'], options);
    expect(after.code).toBe(0);
    expect(after.out).toMatch(/^0001-core {2}ran \d{4}-\d\d-\d\dT/m);
    expect(after.out).not.toContain('pending');
    expect(await runCommand(['migrate'], options)).toMatchObject({
      code: 0,
      out: 'Nothing to do: the database is up to date.\n',
    });
  });

  it('account create: the account can log in over REST, and only once be made', async () => {
    const database = await create();
    onTestFinished(database.dispose);
    const args = ['account', 'create', '--email', 'You@example.com'];
    const password = 'correct horse';
    const env = databaseEnv(database);
    const options = { cwd: await emptyFolder(), env, input: `${password}\n` };
    const made = await runCommand(args, options);
    expect(made).toMatchObject({ code: 0, err: '' });
    const account = JSON.parse(made.out);
    expect(account).toEqual({
      account_id: expect.stringMatching(/^ACC-\d{8}-\d{6}/),
      certification_key: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    const again = await runCommand(args, options);
    expect(again).toMatchObject({ code: 1, out: '', err: 'Email already registered\n' });

    const { url } = await startServer(database);
    const login = await call(`${url}/api/v1/auth/login`, 'POST', {
      username: 'you@example.com',
      password,
    });
    expect(login.json).toEqual({
      success: true,
      data: { message: 'Login successful', ...account },
    });
    const robots = await call(`${url}/api/v1/robots`, 'GET', undefined, account.certification_key);
    expect(robots.json).toEqual({ success: true, data: { robots: [], count: 0 } });
  });
});

describe('openapi', () => {
  it('prints what is committed, and writes the same', async () => {
    const committed = readFileSync('openapi.json', 'utf8');
    const printed = await runCommand(['openapi']);
    expect(printed).toEqual({ code: 0, out: committed, err: '' });
    const cwd = await emptyFolder();
    const written = await runCommand(['openapi', '--write', 'api.json'], { cwd });
    expect(written).toEqual({ code: 0, out: 'api.json written\n', err: '' });
    expect(readFileSync(join(cwd, 'api.json'), 'utf8')).toBe(committed);
  });
});
