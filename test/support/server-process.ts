import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { call } from './app.js';
import type { TestDatabase } from './databases.js';

const MAIN = resolve(import.meta.dirname, '../../dist/main.js');
const START_LIMIT_MS = 90_000;

export interface ServerProcess {
  /** Such as `http://127.0.0.1:40123`. */
  url: string;
  child: ChildProcess;
  /** Everything it wrote so far, on both outputs. */
  output(): string;
  /** Sends the signal and resolves when it has ended. Calling it again is harmless. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/**
 * `fleetwire serve` as a process of its own on a free port of 127.0.0.1, up and healthy. Call it in a test: it is killed
 * when that test ends.
 * @throws with its output when it ends or hangs instead of coming up.
 */
export async function startServer(
  database: TestDatabase,
  env: Record<string, string> = {},
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [MAIN, 'serve'], {
    // Where no config.yaml is.
    cwd: tmpdir(),
    env: {
      PATH: process.env.PATH,
      KAIROIO_SERVER_HOST: '127.0.0.1',
      KAIROIO_SERVER_PORT: '0',
      KAIROIO_MEDIA_RTC_PORT: '0',
      KAIROIO_FEATURES_RATE_LIMITING_ENABLED: 'false',
      ...databaseEnv(database),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  async function stop(signal: NodeJS.Signals = 'SIGTERM') {
    child.kill(signal);
    return ended;
  }
  onTestFinished(async () => void (await stop('SIGKILL')));
  let text = '';
  const url = await new Promise<string>((found, fail) => {
    const complain = (what: string) => {
      clearTimeout(timer);
      fail(new Error(`The server ${what}:\n${text}`));
    };
    const timer = setTimeout(() => complain('did not come up in time'), START_LIMIT_MS);
    ended.then(() => complain('ended instead of coming up'));
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        const port = /REST +http:\/\/localhost:(\d+)/.exec(text)?.[1];
        if (port === undefined) return;
        clearTimeout(timer);
        found(`http://127.0.0.1:${port}`);
      });
    }
  });
  const health = await fetch(`${url}/health`);
  if (!health.ok) throw new Error(`The server is not healthy:\n${await health.text()}`);
  return { url, child, output: () => text, stop };
}

export function databaseEnv({ config }: TestDatabase): Record<string, string> {
  if (config.type === 'sqlite') {
    return { KAIROIO_DATABASE_TYPE: 'sqlite', KAIROIO_DATABASE_DSN: config.path };
  }
  const { host, port, user, password, database } = config.connection;
  return {
    KAIROIO_DATABASE_TYPE: 'postgres',
    KAIROIO_DATABASE_HOST: String(host),
    KAIROIO_DATABASE_PORT: String(port),
    KAIROIO_DATABASE_USER: String(user),
    KAIROIO_DATABASE_PASSWORD: String(password),
    KAIROIO_DATABASE_DATABASE: String(database),
    KAIROIO_DATABASE_MAX_CONNECTIONS: '5',
  };
}

/** The admin's token. */
export async function logIn(url: string): Promise<string> {
  const login = { username: 'kairoio', password: 'kairoio' };
  const { json } = await call(`${url}/api/v1/auth/login`, 'POST', login);
  return json.data.certification_key;
}
