import type { Converter } from './convert.js';
import type { Finding, Findings } from './findings.js';
import type { Known } from './known.js';
import { KAIROIO_TABLES, type KairoioTable, type Original } from './original.js';

export interface TableReport {
  name: KairoioTable;
  rows: number;
  kept: number;
  /** Deleted in the original, or belonging to what was; in the backup alone. */
  deleted: number;
  /** In the table of rejected rows. */
  rejected: number;
}

/** What there is in an original database and what becomes of it. */
export interface Survey {
  tables: TableReport[];
  /** Accounts that are added because robots belong to them. */
  added_accounts: number;
  /** How many of each. */
  password_hashes: Record<string, number>;
  time_forms: Record<string, number>;
  findings: Finding[];
  /** What is not taken over: `table.column` and tables. */
  other_columns: string[];
  other_tables: string[];
}

export interface SurveyParts {
  original: Original;
  tables: TableReport[];
  known: Known;
  findings: Findings;
  converter: Converter;
  placeholders: number;
}

export function reportOf(parts: SurveyParts): Survey {
  const { original, tables, known, findings, converter, placeholders } = parts;
  return {
    tables,
    added_accounts: placeholders,
    password_hashes: Object.fromEntries(known.passwordHashes),
    time_forms: Object.fromEntries(converter.timeForms),
    findings: findings.list(),
    other_columns: original.tables.flatMap(({ name, columns }) => {
      const known: readonly string[] = KAIROIO_TABLES[name];
      return columns
        .filter((column) => !known.includes(column.name))
        .map((column) => `${name}.${column.name}`);
    }),
    other_tables: [...original.inTheWay, ...original.others],
  };
}

/** Whether somebody should look before going on. */
export function hasProblems({ findings }: Pick<Survey, 'findings'>): boolean {
  return findings.some(({ kind }) => kind === 'problem' || kind === 'rejected');
}
