import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Kysely, sql } from 'kysely';
import type { DatabaseHandle } from '../client.js';
import type { Db } from '../dialect.js';
import type { Database } from '../schema.js';
import type { ConnectionMode } from './connection.js';
import { threadDialect } from './driver.js';
import { openThreadChannel, type ThreadChannel } from './thread-channel.js';
import { createWriteGate } from './write-gate.js';

/** The thread runs what it is sent in order; a line of a few groups keeps it busy while the main thread is. */
const GROUPS_AT_ONCE = 4;

/**
 * Opens (and creates, if missing) the SQLite file at `path`: one writing thread, one reading thread.
 * @throws when that cannot be, naming the file.
 */
export async function openSqlite(path: string): Promise<DatabaseHandle> {
  const [writer, reader] = await openChannels(path, 'write', 'read');
  const gate = createWriteGate();
  const db = new Kysely<Database>({ dialect: threadDialect({ writer, reader, gate }) });
  return {
    db,
    dialect: 'sqlite',
    description: `SQLite in ${path}`,
    ingest: {
      groupsAtOnce: GROUPS_AT_ONCE,
      async write(rows) {
        await gate.pass();
        return writer.ingest(rows);
      },
    },
    async batch(queries) {
      await gate.pass();
      return writer.batch(queries);
    },
    batchesInOrder: true,
    async ping() {
      // Both connections go on with a file that was deleted, and all that they write is lost.
      statSync(path);
      await sql`select 1`.execute(db);
      await writer.statement('select 1', []);
    },
    async sizeBytes() {
      return fileSize(path) + fileSize(`${path}-wal`);
    },
    async close() {
      await reader.close();
      await writer.close();
    },
  };
}

/**
 * Opens the SQLite file at `path` for reading alone; each transaction sees the file as it was when it began.
 * @param mode `exclusive` keeps everybody else out meanwhile.
 * @throws when that cannot be, naming the file; `exclusive` also when any other process has it open.
 */
export async function openSqliteSource(
  path: string,
  mode: 'read' | 'exclusive',
): Promise<{ db: Db; close(): Promise<void> }> {
  const [channel] = await openChannels(path, mode);
  const parts = {
    writer: channel,
    reader: channel,
    gate: createWriteGate(),
    begin: 'begin',
  } as const;
  const db = new Kysely<Database>({ dialect: threadDialect(parts) });
  return { db, close: channel.close };
}

/** The threads start side by side, the connections open in this order: a reader can only open a file that exists. */
async function openChannels<Modes extends ConnectionMode[]>(
  path: string,
  ...modes: Modes
): Promise<{ [Mode in keyof Modes]: ThreadChannel }> {
  let channels: ThreadChannel[] = [];
  try {
    if (modes.includes('write')) mkdirSync(dirname(path), { recursive: true });
    channels = modes.map((mode) => openThreadChannel({ path, mode }));
    for (const channel of channels) {
      await channel.statement('select count(*) from sqlite_master', []);
    }
    return channels as { [Mode in keyof Modes]: ThreadChannel };
  } catch (error) {
    await Promise.all(channels.map((channel) => channel.close()));
    throw new Error(`The SQLite database ${path} cannot be opened: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function fileSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
