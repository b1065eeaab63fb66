import type { Connection, Pool, Submittable } from 'pg';

type CopyValue = string | number | null;

/** What the driver's types leave out. */
interface CopyConnection extends Connection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/**
 * All rows into a table as one transaction, by COPY, in one round trip. It takes two thirds of the time that an insert
 * takes of the database, which need not execute and answer row by row. Rows cannot be skipped when there is a conflict.
 * @throws what an insert would throw; then none of the rows is stored.
 */
export async function copyRows<Column extends string>(
  pool: Pool,
  table: string,
  columns: readonly Column[],
  rows: readonly Record<Column, CopyValue>[],
): Promise<void> {
  const statement = `copy ${table} (${columns.join(', ')}) from stdin`;
  const lines = rows.map((row) => `${columns.map((name) => textOf(row[name])).join('\t')}\n`);
  const data = Buffer.from(lines.join(''));
  const client = await pool.connect();
  try {
    await new Promise<void>((resolve, reject) => {
      client.query(new CopyIn(statement, data, (error) => (error ? reject(error) : resolve())));
    });
  } finally {
    client.release();
  }
}

/**
 * A query as the driver knows them. It does not wait for the server to ask for the data: that would be a round trip more,
 * and a turn of a busy event loop. The server skips what it does not want (`COPY Operations` in the protocol's manual).
 */
class CopyIn implements Submittable {
  readonly #statement: string;
  readonly #data: Buffer;
  /** The driver puts its own in front of it when it has a time limit. */
  callback: (error?: Error) => void;

  constructor(statement: string, data: Buffer, callback: (error?: Error) => void) {
    this.#statement = statement;
    this.#data = data;
    this.callback = callback;
  }
  submit(connection: Connection): void {
    const { stream } = connection;
    stream.cork();
    connection.query(this.#statement);
    (connection as CopyConnection).sendCopyFromChunk(this.#data);
    (connection as CopyConnection).endCopyFrom();
    stream.uncork();
  }
  handleCopyInResponse(): void {}
  handleCommandComplete(): void {}
  handleError(error: Error): void {
    this.callback(error);
  }
  handleReadyForQuery(): void {
    this.callback();
  }
}

/** A value in the text form of https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS. */
function textOf(value: CopyValue): string | number {
  if (value === null) return '\\N';
  if (typeof value === 'number' || !SPECIAL.test(value)) return value;
  return value.replace(SPECIALS, (character) => ESCAPES[character] as string);
}

const ESCAPES: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const SPECIAL = /[\\\n\r\t]/;
const SPECIALS = /[\\\n\r\t]/g;
