import { randomUUID } from 'node:crypto';
import { type Insertable, sql, type Transaction } from 'kysely';
import { type Db, dialectOf } from '../dialect.js';
import { migrateWithin } from '../migrate.js';
import type { Database } from '../schema.js';
import { continueAfter } from '../sequences.js';
import { copyOriginal, type Sink } from './copy.js';
import type { Engine, SetAside } from './engine.js';
import { findOriginal, type KairoioTable, type Original } from './original.js';
import { postgresEngine } from './postgres.js';
import { countRows } from './read.js';
import { createRejected, insertRejected, REJECTED_TABLE } from './rejected.js';
import type { Survey } from './report.js';
import { sqliteEngine } from './sqlite.js';

/** How far it is: pages or tables of the backup, rows of a table; at `made` and `copied` there is nothing to count. */
export interface AdoptionStep {
  step: 'backup' | 'made' | 'rows' | 'copied';
  table: KairoioTable | null;
  done: number;
  of: number;
}

export interface AdoptOptions {
  nowMs: number;
  /** What it throws ends the work, and the originals are as they were. */
  onStep?(step: AdoptionStep): void;
}

/** What was done. */
export interface Adoption extends Survey {
  /** For people: where the originals are. */
  backup: string;
  /** The table of the rows that had no place elsewhere; null when there is none. */
  rejected_table: string | null;
}

const WITH_IDS = ['robot_statuses', 'robot_logs'] as const;

/**
 * Takes over a database of the KairoIO server in place, after a backup, in one transaction. Of several instances that
 * start at once one does it, the others wait. Returns undefined when there is nothing to take over.
 * @throws when it cannot be done; then the originals are as they were.
 */
export async function adopt(db: Db, options: AdoptOptions): Promise<Adoption | undefined> {
  if (!(await findOriginal(db))) return undefined;
  const engine: Engine = dialectOf(db) === 'postgres' ? postgresEngine : sqliteEngine;
  let aside: SetAside | undefined;
  try {
    return await engine.exclusively(db, async (transaction) => {
      // Another instance may have done it meanwhile.
      const original = await findOriginal(transaction);
      if (!original) return undefined;
      aside = await engine.setAside(transaction, original, {
        nowMs: options.nowMs,
        onBackup: (done, of) => options.onStep?.({ step: 'backup', table: null, done, of }),
      });
      return takeOver(transaction, original, aside, options);
    });
  } catch (error) {
    await aside?.abandon();
    throw error;
  }
}

async function takeOver(
  transaction: Transaction<Database>,
  original: Original,
  aside: SetAside,
  { nowMs, onStep }: AdoptOptions,
): Promise<Adoption> {
  await migrateWithin(transaction, nowMs);
  onStep?.({ step: 'made', table: null, done: 0, of: 0 });
  const survey = await copyOriginal(transaction, original, {
    source: aside.source,
    sink: tableSink(transaction, nowMs),
    nowMs,
    newKey: randomUUID,
    onRows: (table, done, of) => onStep?.({ step: 'rows', table, done, of }),
  });
  onStep?.({ step: 'copied', table: null, done: 0, of: 0 });
  await verify(transaction, survey);
  for (const table of WITH_IDS) {
    await continueAfter(transaction, table, 'id', await aside.lastId(table));
  }
  await aside.finish();
  const isRejected = survey.tables.some(({ rejected }) => rejected > 0);
  return { ...survey, backup: aside.backup, rejected_table: isRejected ? REJECTED_TABLE : null };
}

function tableSink(transaction: Transaction<Database>, nowMs: number): Sink {
  let hasRejected = false;
  return {
    async insert(table, rows) {
      await transaction
        .insertInto(table)
        .values(rows as Insertable<Database[KairoioTable]>[])
        .execute();
    },
    async reject(rows) {
      if (!hasRejected) await createRejected(transaction);
      hasRejected = true;
      await insertRejected(transaction, rows, nowMs);
    },
  };
}

/** Counts what is there now. @throws when that is not what was read. */
async function verify(transaction: Transaction<Database>, survey: Survey): Promise<void> {
  let rejected = 0;
  for (const report of survey.tables) {
    const expected = report.kept + (report.name === 'accounts' ? survey.added_accounts : 0);
    const found = await countRows(transaction, report);
    if (found !== expected || report.kept + report.deleted + report.rejected !== report.rows) {
      throw new Error(`${report.name} has ${found} rows after the copy instead of ${expected}`);
    }
    rejected += report.rejected;
  }
  if (rejected === 0) return;
  const { rows } = await sql<{ n: number }>`
    select count(*) as n from ${sql.table(REJECTED_TABLE)}`.execute(transaction);
  if (rows[0]?.n !== rejected) {
    throw new Error(`${REJECTED_TABLE} has ${rows[0]?.n} rows instead of ${rejected}`);
  }
}
