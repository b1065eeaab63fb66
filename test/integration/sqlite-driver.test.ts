import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Kysely, sql } from 'kysely';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/db/client.js';
import { isForeignKeyViolation, isUniqueViolation } from '../../src/db/errors.js';
import { migrate } from '../../src/db/migrate.js';
import type { Database } from '../../src/db/schema.js';
import { threadDialect } from '../../src/db/sqlite/driver.js';
import { openThreadChannel } from '../../src/db/sqlite/thread-channel.js';
import { createWriteGate } from '../../src/db/sqlite/write-gate.js';
import { accountRow, logRow, robotRow, statusRow } from '../support/fleet-database.js';

const WAIT_LIMIT_MS = 100;

let path: string;
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fleetwire-driver-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  path = join(folder, 'sub/fleetwire.db');
});

async function open() {
  const handle = await openDatabase({ type: 'sqlite', path });
  onTestFinished(handle.close);
  await migrate(handle.db);
  return handle;
}

/** The same parts with little patience at the gate, and every statement that reaches the writer. */
async function openImpatient() {
  const { db } = await open();
  const writer = openThreadChannel({ path, mode: 'write' });
  const reader = openThreadChannel({ path, mode: 'read' });
  const written: string[] = [];
  const watched: typeof writer = {
    ...writer,
    statement(text, parameters) {
      written.push(text.split(' ', 2).join(' '));
      return writer.statement(text, parameters);
    },
  };
  const dialect = threadDialect({ writer: watched, reader, gate: createWriteGate(WAIT_LIMIT_MS) });
  onTestFinished(async () => {
    await reader.close();
    await writer.close();
  });
  return { db: new Kysely<Database>({ dialect }), other: db, written, writer, reader };
}

const ids = async (db: Kysely<Database>) =>
  (await db.selectFrom('accounts').select('id').orderBy('id').execute()).map(({ id }) => id);
const add = (db: Kysely<Database>, id: string) =>
  db.insertInto('accounts').values(accountRow(id)).execute();

describe('the SQLite connections', () => {
  it('make the file and its folder, in WAL mode', async () => {
    const { db, sizeBytes, description } = await open();
    await add(db, 'a');
    expect(existsSync(path)).toBe(true);
    expect(existsSync(`${path}-wal`)).toBe(true);
    expect(await sizeBytes()).toBeGreaterThan(4_096);
    expect(description).toBe(`SQLite in ${path}`);
  });

  it('write with the settings that durability and integrity need', async () => {
    const { db } = await open();
    const pragma = async (name: string) =>
      Object.values(
        (await sql<Record<string, unknown>>`pragma ${sql.raw(name)}`.execute(db)).rows[0] ?? {},
      )[0];
    expect(await pragma('journal_mode')).toBe('wal');
    expect(await pragma('synchronous')).toBe(2);
    expect(await pragma('foreign_keys')).toBe(1);
    expect(await pragma('busy_timeout')).toBe(5_000);
  });

  it('read what is committed at once', async () => {
    const { db } = await open();
    for (let n = 0; n < 50; n += 1) {
      await add(db, `account-${n}`);
      expect(await ids(db)).toHaveLength(n + 1);
    }
  });

  it('cannot write through the reading one', async () => {
    const { reader } = await openImpatient();
    await expect(reader.statement('delete from accounts', [])).rejects.toMatchObject({
      code: 'SQLITE_READONLY',
    });
    const returning = `with x as (select 1) insert into accounts select 1,1,1,1,1,1,1,1 returning id`;
    await expect(reader.statement(returning, [])).rejects.toMatchObject({
      code: 'SQLITE_READONLY',
    });
  });

  it('tell errors by their code', async () => {
    const { db } = await open();
    await add(db, 'a');
    const failing = (work: Promise<unknown>) =>
      work.then(
        () => undefined,
        (error: unknown) => error,
      );
    const twice = await failing(add(db, 'a'));
    expect(isUniqueViolation(twice)).toBe(true);
    const email = db
      .insertInto('accounts')
      .values({ ...accountRow('b'), email: 'a@example.com' })
      .execute();
    expect(isUniqueViolation(await failing(email))).toBe(true);
    const orphan = await failing(db.insertInto('robots').values(robotRow('nobody', 'r')).execute());
    expect(orphan).toMatchObject({ code: 'SQLITE_CONSTRAINT_FOREIGNKEY' });
    expect(isForeignKeyViolation(orphan)).toBe(true);
    expect(isUniqueViolation(orphan)).toBe(false);
    await expect(sql`select nothing`.execute(db)).rejects.toThrow('nothing');
  });

  it('tell how many rows a write touched', async () => {
    const { db } = await open();
    for (const id of ['a', 'b', 'c']) await add(db, id);
    const updated = await db.updateTable('accounts').set({ updated_at: 1 }).executeTakeFirst();
    expect(updated.numUpdatedRows).toBe(3n);
    const gone = await db.deleteFrom('accounts').where('id', '<>', 'a').executeTakeFirst();
    expect(gone.numDeletedRows).toBe(2n);
  });

  it('close only when what was asked before is done, and then say so', async () => {
    const { db, ingest, close } = await open();
    const writes = Promise.all(Array.from({ length: 50 }, (_, n) => add(db, `account-${n}`)));
    // Every write is on its way once one that was sent later is answered or the thread is told to close.
    await new Promise(setImmediate);
    await close();
    await writes;
    await expect(ids(db)).rejects.toThrow('The database connection is closed');
    await expect(add(db, 'late')).rejects.toThrow('The database connection is closed');
    await expect(ingest.write([statusRow({})])).rejects.toThrow('closed');
    await close();
    const again = await open();
    expect(await ids(again.db)).toHaveLength(50);
  });

  it('refuse a file that is no database, and say which', async () => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, 'a text file, and no database however long it goes on');
    await expect(openDatabase({ type: 'sqlite', path })).rejects.toThrow(
      `The SQLite database ${path} cannot be opened: file is not a database`,
    );
    const below = join(path, 'fleetwire.db');
    await expect(openDatabase({ type: 'sqlite', path: below })).rejects.toThrow(
      `The SQLite database ${below} cannot be opened: `,
    );
  });
});

describe('transactions on SQLite', () => {
  it('have the connection to themselves: single writes and ingest wait and follow', async () => {
    const { db, ingest } = await open();
    await add(db, 'owner');
    await db.insertInto('robots').values(robotRow('owner', 'robot')).execute();
    const events: string[] = [];
    const note = (name: string) => () => void events.push(name);
    const followers: Promise<unknown>[] = [];
    await db.transaction().execute(async (transaction) => {
      await add(transaction, 'inside');
      followers.push(add(db, 'outside').then(note('single write')));
      followers.push(ingest.write([statusRow({}), logRow({})]).then(note('ingest')));
      followers.push(
        db
          .transaction()
          .execute((second) => add(second, 'second'))
          .then(note('second transaction')),
      );
      expect(await ids(transaction)).toEqual(['inside', 'owner']);
      // Nobody else sees it yet.
      expect(await ids(db)).toEqual(['owner']);
      events.push('commit');
    });
    await Promise.all(followers);
    expect(events[0]).toBe('commit');
    expect(events.slice(1).sort()).toEqual(['ingest', 'second transaction', 'single write']);
    expect(await ids(db)).toEqual(['inside', 'outside', 'owner', 'second']);
  });

  it('undo everything when they fail, and let the next one in', async () => {
    const { db } = await open();
    const failed = db.transaction().execute(async (transaction) => {
      await add(transaction, 'a');
      await add(transaction, 'a');
    });
    await expect(failed).rejects.toSatisfy(isUniqueViolation);
    const thrown = db.transaction().execute(async (transaction) => {
      await add(transaction, 'b');
      throw new Error('changed my mind');
    });
    await expect(thrown).rejects.toThrow('changed my mind');
    await add(db, 'c');
    expect(await ids(db)).toEqual(['c']);
  });

  it('never mix when many run at once with single writes between them', async () => {
    const { db } = await open();
    await sql`create table counter (n integer)`.execute(db);
    await sql`insert into counter values (0)`.execute(db);
    const increment = () =>
      db.transaction().execute(async (transaction) => {
        const { rows } = await sql<{ n: number }>`select n from counter`.execute(transaction);
        await sql`update counter set n = ${(rows[0]?.n ?? 0) + 1}`.execute(transaction);
      });
    const work = Array.from({ length: 100 }, (_, n) =>
      n % 3 === 0 ? sql`update counter set n = n + 1`.execute(db) : increment(),
    );
    await Promise.all(work);
    const { rows } = await sql<{ n: number }>`select n from counter`.execute(db);
    expect(rows).toEqual([{ n: 100 }]);
  });

  it('end with a clear error when the outer handle writes inside them, instead of hanging', async () => {
    const { db, written } = await openImpatient();
    const stuck = db.transaction().execute(async (transaction) => {
      await add(transaction, 'inside');
      await add(db, 'outside');
    });
    await expect(stuck).rejects.toThrow(
      `A write waited ${WAIT_LIMIT_MS} ms for an open transaction; is the outer handle used inside it?`,
    );
    expect(written.at(-1)).toBe('rollback');
    await add(db, 'after');
    expect(await ids(db)).toEqual(['after']);
  });

  it('that cannot begin, because another process writes, leave the way free', async () => {
    const { db, other, written } = await openImpatient();
    await sql`pragma busy_timeout = 1`.execute(db);
    const blocked = await other.transaction().execute(async (transaction) => {
      await add(transaction, 'theirs');
      return db
        .transaction()
        .execute((mine) => add(mine, 'mine'))
        .catch((error: unknown) => error);
    });
    expect(blocked).toMatchObject({ code: 'SQLITE_BUSY' });
    expect(written).not.toContain('rollback');
    await db.transaction().execute((mine) => add(mine, 'mine'));
    expect(await ids(db)).toEqual(['mine', 'theirs']);
  });
});
