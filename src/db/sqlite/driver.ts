import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { ThreadChannel } from './thread-channel.js';
import type { WriteGate } from './write-gate.js';

/** DDL in SQLite is transactional; saying so makes Kysely run migrations inside one transaction, hence one at a time. */
class TransactionalSqliteAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

export interface ThreadDialectParts {
  writer: ThreadChannel;
  reader: ThreadChannel;
  gate: WriteGate;
  /** How transactions begin; by default as those that will write. */
  begin?: 'begin' | 'begin immediate';
}

/**
 * Kysely over two threads: reads go to the read-only connection, writes and whole transactions to the writing one.
 * The main thread never runs SQL and never waits for a lock.
 */
export function threadDialect(parts: ThreadDialectParts): Dialect {
  return {
    createAdapter: () => new TransactionalSqliteAdapter(),
    createDriver: () => new ThreadDriver(parts),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

class ThreadConnection implements DatabaseConnection {
  inTransaction = false;
  readonly #parts: ThreadDialectParts;

  constructor(parts: ThreadDialectParts) {
    this.#parts = parts;
  }

  async executeQuery<R>({ query, sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const { writer, reader, gate } = this.#parts;
    if (!this.inTransaction && isRead(query.kind, sql)) {
      const { rows } = await reader.statement(sql, parameters);
      return { rows: rows as R[] };
    }
    if (!this.inTransaction) await gate.pass();
    const { rows, changes } = await writer.statement(sql, parameters);
    return { rows: rows as R[], numAffectedRows: BigInt(changes) };
  }

  // biome-ignore lint/correctness/useYield: long reads page by key instead, so that no connection is held
  async *streamQuery(): AsyncIterableIterator<never> {
    throw new Error('Streaming is not supported on SQLite; read in pages');
  }
}

function isRead(kind: string, sql: string): boolean {
  return kind === 'SelectQueryNode' || (kind === 'RawNode' && /^\s*(select|with)\b/i.test(sql));
}

class ThreadDriver implements Driver {
  readonly #parts: ThreadDialectParts;

  constructor(parts: ThreadDialectParts) {
    this.#parts = parts;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<ThreadConnection> {
    return new ThreadConnection(this.#parts);
  }

  async beginTransaction(connection: ThreadConnection): Promise<void> {
    const { gate, writer, begin = 'begin immediate' } = this.#parts;
    await gate.enter();
    try {
      await writer.statement(begin, []);
      connection.inTransaction = true;
    } catch (error) {
      gate.release();
      throw error;
    }
  }

  async commitTransaction(connection: ThreadConnection): Promise<void> {
    await this.#parts.writer.statement('commit', []);
    this.#end(connection);
  }

  async rollbackTransaction(connection: ThreadConnection): Promise<void> {
    // A failed BEGIN leaves nothing to roll back, yet Kysely asks for it.
    if (!connection.inTransaction) return;
    try {
      await this.#parts.writer.statement('rollback', []);
    } finally {
      this.#end(connection);
    }
  }

  async releaseConnection(): Promise<void> {}

  /** The threads are closed by whoever opened them. */
  async destroy(): Promise<void> {}

  #end(connection: ThreadConnection): void {
    connection.inTransaction = false;
    this.#parts.gate.release();
  }
}
