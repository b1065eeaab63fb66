import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Child } from '../lib/child.js';
import { freePort } from '../lib/free-port.js';
import { openPostgresStore, openSqliteStore } from '../lib/status-store.js';
import type { Subject } from './subject.js';

const ENTRY = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const PRELOAD = new URL('../preload.mjs', import.meta.url).href;
const HEALTH_LIMIT_MS = 30_000;
const HEALTH_POLL_MS = 5;

export interface FleetwireOptions {
  directory: string;
  /** Distinguishes the files of several servers in one directory. */
  name: string;
  /** The database file, new or filled; ignored with `postgresUrl`. */
  databasePath: string;
  postgresUrl?: string;
  /** Lets `Child.ask` put questions to the server's own thread (see preload.mjs). */
  watched?: boolean;
}

export function requireBuild(): void {
  if (!existsSync(ENTRY)) throw new Error('dist/main.js is not there: run `npm run build` first');
}

/** Starts the built server as a user would, and waits until it is healthy. Rate limits are out of reach but in force. */
export async function startFleetwire(
  options: FleetwireOptions,
): Promise<{ child: Child; port: number }> {
  const port = await freePort();
  const child = new Child({
    args: [...(options.watched ? ['--import', PRELOAD] : []), ENTRY, 'serve'],
    cwd: options.directory,
    env: { ...settingsOf(options), KAIROIO_SERVER_PORT: String(port) },
    outputPath: join(options.directory, `${options.name}.log`),
  });
  const watching = new AbortController();
  try {
    await Promise.race([healthy(port, watching.signal), child.died()]);
    return { child, port };
  } catch (error) {
    await child.kill();
    throw error;
  } finally {
    watching.abort();
  }
}

/** Adds an account to the database of a server that is not running, with the server's own command. */
export async function createAccount(
  options: FleetwireOptions,
  account: { email: string; password: string },
): Promise<void> {
  const running = promisify(execFile)(
    process.execPath,
    [ENTRY, 'account', 'create', '--email', account.email],
    { cwd: options.directory, env: settingsOf(options) },
  );
  running.child.stdin?.end(account.password);
  await running;
}

function settingsOf(options: FleetwireOptions): Record<string, string> {
  return {
    NODE_ENV: 'production',
    KAIROIO_SERVER_HOST: '127.0.0.1',
    KAIROIO_SERVER_ENVIRONMENT: 'production',
    KAIROIO_DATABASE_TYPE: options.postgresUrl === undefined ? 'sqlite' : 'postgres',
    KAIROIO_DATABASE_DSN: options.postgresUrl ?? options.databasePath,
    KAIROIO_LIMITS_REQUESTS_PER_SECOND: '1000000',
    KAIROIO_LIMITS_REQUESTS_PER_SECOND_PER_IP: '1000000',
    KAIROIO_LIMITS_LOGINS_PER_MINUTE: '1000000',
    KAIROIO_ROOMS_BURST: '1000000',
    KAIROIO_MEDIA_LISTEN_IP: '127.0.0.1',
    KAIROIO_MEDIA_RTC_PORT: '0',
  };
}

/** A server with a logged-in admin and the robots registered: ready for load. */
export async function startFleetwireSubject(
  options: FleetwireOptions,
  robotIds: string[],
): Promise<Subject> {
  const { child, port } = await startFleetwire(options);
  const { certification_key: token } = await call<{ certification_key: string }>(
    port,
    '/api/v1/auth/login',
    { body: { username: 'kairoio', password: 'kairoio' } },
  );
  for (const robotId of robotIds) {
    await call(port, '/api/v1/robots', {
      token,
      body: { robot_id: robotId, robot_type: 'bench' },
    });
  }
  const { postgresUrl, databasePath } = options;
  return {
    name: options.name,
    child,
    port,
    token,
    robot_ids: robotIds,
    openStore: async () =>
      postgresUrl === undefined ? openSqliteStore(databasePath) : openPostgresStore(postgresUrl),
  };
}

/** One call of the fleet API; gives the `data` of its envelope, throws with the reply's text when it is not 2xx. */
export async function call<Data>(
  port: number,
  path: string,
  options: { token?: string; body?: object } = {},
): Promise<Data> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: options.body === undefined ? 'GET' : 'POST',
    headers: {
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
    },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text.slice(0, 300)}`);
  return (JSON.parse(text) as { data: Data }).data;
}

async function healthy(port: number, signal: AbortSignal): Promise<void> {
  const endsAtMs = Date.now() + HEALTH_LIMIT_MS;
  while (Date.now() < endsAtMs && !signal.aborted) {
    const ok = await fetch(`http://127.0.0.1:${port}/health`).then(
      async (response) => {
        await response.arrayBuffer();
        return response.ok;
      },
      () => false,
    );
    if (ok) return;
    await sleep(HEALTH_POLL_MS);
  }
  throw new Error(`/health did not answer within ${HEALTH_LIMIT_MS / 1000} s`);
}
