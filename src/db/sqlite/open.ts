import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Kysely, sql } from 'kysely';
import type { DatabaseHandle } from '../client.js';
import type { Database } from '../schema.js';
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
  // In this order: the reader can only open a file that exists.
  const writer = await openChannel(path, false);
  const reader = await openChannel(path, true);
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

async function openChannel(path: string, readonly: boolean): Promise<ThreadChannel> {
  let channel: ThreadChannel | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true });
    channel = openThreadChannel({ path, readonly });
    await channel.statement('select 1', []);
    return channel;
  } catch (error) {
    await channel?.close();
    throw new Error(`The SQLite database ${path} cannot be opened: ${(error as Error).message}`);
  }
}

function fileSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
