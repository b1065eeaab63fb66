import { type CompiledQuery, Kysely, PostgresDialect, type PostgresPool, sql } from 'kysely';
import pg from 'pg';
import type { Config } from '../../config.js';
import { DomainError } from '../../lib/errors.js';
import type { DatabaseHandle } from '../client.js';
import type { Database } from '../schema.js';
import { createPostgresIngest } from './group-insert.js';

type PostgresConfig = Extract<Config['database'], { type: 'postgres' }>;

const CONNECT_TIMEOUT_MS = 5_000;
/** Milliseconds since the epoch and row ids stay far below 2^53, so int8 may be a number. */
const types = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 && format !== 'binary'
      ? Number
      : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
};

/** @throws when the server cannot be reached or refuses the login, naming host and database. */
export async function openPostgres(config: PostgresConfig): Promise<DatabaseHandle> {
  const pool = new pg.Pool({
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'fleetwire',
    ...config.connection,
    types,
    max: config.max_connections,
    maxLifetimeSeconds: Math.ceil(config.conn_max_lifetime / 1_000),
  });
  // A connection that breaks is replaced by the pool, and what was under way on it fails. Its error comes here when it was
  // idle, else on itself; without a listener either would end the process.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: reachable(pool) }) });
  const where = await describe(pool).catch(async (error: Error) => {
    await pool.end();
    throw new Error(`PostgreSQL cannot be reached: ${error.message || String(error)}`);
  });
  return {
    db,
    dialect: 'postgres',
    description: `PostgreSQL ${where}`,
    ingest: createPostgresIngest(pool),
    batch: (queries) => runBatch(db, queries),
    batchesInOrder: false,
    async ping() {
      await sql`select 1`.execute(db);
    },
    async sizeBytes() {
      const { rows } = await sql<{ size: number }>`
        select pg_database_size(current_database()) as size`.execute(db);
      return rows[0]?.size ?? 0;
    },
    async close() {
      await db.destroy();
    },
  };
}

async function runBatch(
  db: Kysely<Database>,
  queries: readonly CompiledQuery[],
): Promise<unknown[][] | undefined> {
  const cameToNothing = new Error();
  try {
    return await db.transaction().execute(async (tx) => {
      const results: unknown[][] = [];
      for (const query of queries) {
        const { rows } = await tx.executeQuery(query);
        if (rows.length === 0) throw cameToNothing;
        results.push(rows);
      }
      return results;
    });
  } catch (error) {
    if (error === cameToNothing) return undefined;
    throw error;
  }
}

/** The pool with a public answer for the time when the server is away; `/health` names the part that fails. */
function reachable(pool: pg.Pool): PostgresPool {
  return {
    connect: () =>
      pool.connect().catch(() => {
        const message = 'The database cannot be reached; try again later';
        throw new DomainError('unavailable', message, { retryAfterMs: 5_000 });
      }),
    end: () => pool.end(),
  };
}

async function describe(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ version: string; name: string }>(
    `select current_setting('server_version') as version, current_database() as name`,
  );
  return `${rows[0]?.version}, database ${rows[0]?.name}`;
}
