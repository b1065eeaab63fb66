import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { describe, inject } from 'vitest';
import { parsePostgresDsn } from '../../src/config/postgres-dsn.js';
import type { Config } from '../../src/config.js';

type DatabaseConfig = Config['database'];

/** A database of its own, empty, for one test or one file. */
export interface TestDatabase {
  config: DatabaseConfig;
  /** Removes it, even if connections are still open. */
  dispose(): Promise<void>;
}

export interface TestDatabaseKind {
  dialect: DatabaseConfig['type'];
  /** Set when this machine cannot run it: why. `create` then fails with it. */
  unavailable?: string;
  create(): Promise<TestDatabase>;
}

const server = inject('postgres');

/** Every database that Fleetwire runs on, for integration and end-to-end tests. */
export const testDatabases: readonly TestDatabaseKind[] = [
  { dialect: 'sqlite', create: createSqlite },
  'unavailable' in server
    ? { dialect: 'postgres', unavailable: server.unavailable, create: refuse(server.unavailable) }
    : { dialect: 'postgres', create: () => createPostgres(server.adminUrl) },
];

/**
 * `describe` once for each database; one that cannot run here is reported as skipped, with the reason in the title.
 */
export function describeEachDatabase(title: string, body: (kind: TestDatabaseKind) => void): void {
  for (const kind of testDatabases) {
    const name = `${title} on ${kind.dialect}`;
    if (kind.unavailable === undefined) describe(name, () => body(kind));
    else describe.skip(`${name} (skipped: ${kind.unavailable})`, () => body(kind));
  }
}

async function createSqlite(): Promise<TestDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'fleetwire-sqlite-'));
  return {
    config: { type: 'sqlite', path: join(folder, 'fleetwire.db') },
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}

async function createPostgres(adminUrl: string): Promise<TestDatabase> {
  const name = `fleetwire_test_${randomBytes(6).toString('hex')}`;
  await administer(adminUrl, `CREATE DATABASE ${name}`);
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  const connection = parsePostgresDsn(url.href, (problem) => {
    throw new Error(`the URL of the test server ${problem}`);
  });
  if (!connection) throw new Error('the URL of the test server names no database');
  return {
    config: { type: 'postgres', connection, max_connections: 5, conn_max_lifetime: 300_000 },
    dispose: () => administer(adminUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

async function administer(adminUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function refuse(reason: string): () => Promise<never> {
  return async () => {
    throw new Error(`PostgreSQL cannot run here: ${reason}`);
  };
}
