import { ADMIN_ID } from '../../contract/access.js';
import type { Handle } from '../dialect.js';
import { type RawRow, readPages, type TableRef } from '../pages.js';
import { type AccountRow, adminAccount, placeholderAccount, settleEmails } from './accounts.js';
import { type Converter, createConverter, keyOf } from './convert.js';
import { createFindings, type Findings } from './findings.js';
import { createKnown, type Known } from './known.js';
import type { KairoioTable, Original, OriginalTable } from './original.js';
import { columnsToRead, countRows, repeatedIds } from './read.js';
import { reportOf, type Survey, type TableReport } from './report.js';

const ACCOUNTS_AT_ONCE = 500;

/** Where the rows go; nowhere when it is only asked what would happen. */
export interface Sink {
  insert(table: KairoioTable, rows: readonly object[]): Promise<void>;
  reject(rows: readonly RejectedRow[]): Promise<void>;
}

export interface RejectedRow {
  table: KairoioTable;
  key: string;
  reason: string;
  raw: RawRow;
}

export interface CopyOptions {
  /** Where the rows of an original table are read. */
  source(table: KairoioTable): TableRef;
  sink: Sink;
  nowMs: number;
  newKey(): string;
  onRows(table: KairoioTable, rows: number, of: number): void;
}

/** Reads every row of the original once, hands on what becomes of it, and tells what that was. */
export async function copyOriginal(
  transaction: Handle,
  original: Original,
  options: CopyOptions,
): Promise<Survey> {
  const known = createKnown(options.nowMs, options.newKey);
  const findings = createFindings();
  const copy: Copy = {
    ...{ transaction, options, known, findings },
    converter: createConverter(known, findings),
    accounts: [],
    placeholders: 0,
  };
  const tables: TableReport[] = [];
  for (const table of original.tables) tables.push(await copyTable(copy, table));
  return reportOf({ original, tables, ...copy });
}

interface Copy {
  transaction: Handle;
  options: CopyOptions;
  known: Known;
  findings: Findings;
  converter: Converter;
  /** Kept until all of them are known, because of their addresses. */
  accounts: AccountRow[];
  /** Accounts that were not in the original and that robots belong to. */
  placeholders: number;
}

async function copyTable(copy: Copy, table: OriginalTable): Promise<TableReport> {
  const { transaction, options, converter } = copy;
  const { name } = table;
  const source = options.source(name);
  const rows = await countRows(transaction, source);
  const report: TableReport = { name, rows, kept: 0, deleted: 0, rejected: 0 };
  const repeated = await repeatedIds(transaction, source, table);
  const seen = new Set<string>();
  let done = 0;
  options.onRows(name, done, report.rows);
  for await (const page of readPages(transaction, source, columnsToRead(transaction, table))) {
    const kept: object[] = [];
    const rejected: RejectedRow[] = [];
    for (const raw of page) {
      const key = keyOf(raw);
      const twice = seen.has(key);
      if (repeated.has(key)) seen.add(key);
      const converted = converter.convert(name, raw, twice);
      if (converted.outcome === 'kept') kept.push(converted.row);
      if (converted.outcome === 'deleted') report.deleted += 1;
      if (converted.outcome === 'rejected') {
        rejected.push({ table: name, key, reason: converted.reason, raw });
      }
    }
    report.kept += kept.length;
    report.rejected += rejected.length;
    if (name === 'robots') await addOwners(copy, kept as { account_id: string }[]);
    if (name === 'accounts') copy.accounts.push(...(kept as AccountRow[]));
    else if (kept.length > 0) await options.sink.insert(name, kept);
    if (rejected.length > 0) await options.sink.reject(rejected);
    done += page.length;
    options.onRows(name, done, report.rows);
  }
  if (name === 'accounts') await addAccounts(copy);
  return report;
}

async function addAccounts({ accounts, known, findings, options }: Copy): Promise<void> {
  settleEmails(accounts, known, ({ id }, kind, what) => findings.add(kind, 'accounts', what, id));
  for (let from = 0; from < accounts.length; from += ACCOUNTS_AT_ONCE) {
    await options.sink.insert('accounts', accounts.slice(from, from + ACCOUNTS_AT_ONCE));
  }
  accounts.length = 0;
}

/** The built-in admin was in no table, and nothing kept an account from being deleted before its robots. */
async function addOwners(copy: Copy, robots: readonly { account_id: string }[]): Promise<void> {
  const { known, findings, options } = copy;
  const owners = new Set(robots.map(({ account_id }) => account_id));
  for (const id of owners) {
    if (known.accounts.has(id)) continue;
    known.accounts.add(id);
    copy.placeholders += 1;
    if (id !== ADMIN_ID) {
      const what = 'not there, though robots belong to it: an account without a login is made';
      findings.add('changed', 'accounts', what, id);
    }
    const account = id === ADMIN_ID ? adminAccount(known) : placeholderAccount(id, known);
    await options.sink.insert('accounts', [account]);
  }
}
