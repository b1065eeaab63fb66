import { startThread } from '../../lib/thread.js';
import type { IngestRow, IngestVerdict } from '../ingest.js';
import {
  packGroup,
  type Reply,
  type Request,
  type Statement,
  type StatementResult,
  type ThreadData,
  unpackVerdict,
} from './protocol.js';

/** An error of the database, with SQLite's own code (`SQLITE_CONSTRAINT_UNIQUE`). */
export class SqliteError extends Error {
  override readonly name = 'SqliteError';
  readonly code: string;
  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/** Requests to a thread that owns one SQLite connection; they run there in the order they were sent. */
export interface ThreadChannel {
  statement(sql: string, parameters: readonly unknown[]): Promise<StatementResult>;
  /** All in one transaction; see `DatabaseHandle.batch`. */
  batch(statements: readonly Statement[]): Promise<unknown[][] | undefined>;
  ingest(rows: readonly IngestRow[]): Promise<IngestVerdict[]>;
  close(): Promise<void>;
}

type Pending = { resolve(value: never): void; reject(error: Error): void };
type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

/** Heap limits keep an idle server small; a page of rows is the most that a thread ever holds. */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 256 };

export function openThreadChannel(data: ThreadData): ThreadChannel {
  const worker = startThread('connection-thread', import.meta.url, {
    workerData: data,
    name: data.mode === 'read' ? 'sqlite-reader' : 'sqlite-writer',
    resourceLimits: RESOURCE_LIMITS,
  });
  const pending = new Map<number, Pending>();
  let nextId = 1;
  let failure: Error | undefined;

  worker.on('message', (reply: Reply) => {
    const request = pending.get(reply.id);
    pending.delete(reply.id);
    if (reply.ok) request?.resolve(reply.value as never);
    else request?.reject(new SqliteError(reply.message, reply.code));
  });
  function fail(error: Error): void {
    failure ??= error;
    for (const request of pending.values()) request.reject(error);
    pending.clear();
  }
  worker.on('error', fail);
  worker.on('exit', () => fail(new Error('The database connection is closed')));

  function send<T>(request: WithoutId<Request>): Promise<T> {
    if (failure) return Promise.reject(failure);
    return new Promise<T>((resolve, reject) => {
      const id = nextId++;
      pending.set(id, { resolve, reject });
      worker.postMessage({ ...request, id });
    });
  }
  return {
    statement: (sql, parameters) => send({ kind: 'statement', sql, parameters }),
    batch: (statements) =>
      send({
        kind: 'batch',
        statements: statements.map(({ sql, parameters }) => ({ sql, parameters })),
      }),
    async ingest(rows) {
      const codes = await send<number[]>({ kind: 'ingest', group: packGroup(rows) });
      return codes.map(unpackVerdict);
    },
    async close() {
      if (failure) return;
      const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
      await send({ kind: 'close' });
      await exited;
    },
  };
}
