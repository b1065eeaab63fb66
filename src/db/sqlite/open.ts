import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Kysely, sql } from 'kysely';
import type { DatabaseHandle } from '../client.js';
import type { Database } from '../schema.js';
import { threadDialect } from './driver.js';
import { openThreadChannel } from './thread-channel.js';
import { createWriteGate } from './write-gate.js';

/** Opens (and creates, if missing) the SQLite file at `path`: one writing thread, one reading thread. */
export async function openSqlite(path: string): Promise<DatabaseHandle> {
  mkdirSync(dirname(path), { recursive: true });
  const writer = openThreadChannel({ path, readonly: false });
  // The reader can only open a file that exists, and the writer's first answer says that it does.
  await writer.statement('select 1', []);
  const reader = openThreadChannel({ path, readonly: true });
  const gate = createWriteGate();
  const db = new Kysely<Database>({ dialect: threadDialect({ writer, reader, gate }) });
  return {
    db,
    dialect: 'sqlite',
    description: `SQLite in ${path}`,
    ingest: {
      async write(rows) {
        await gate.pass();
        return writer.ingest(rows);
      },
    },
    async ping() {
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

function fileSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
