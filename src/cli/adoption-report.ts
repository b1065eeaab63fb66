import type { Survey } from '../db/adopt/report.js';
import { amount } from './progress.js';

/** What there is in a database of the KairoIO server and what becomes of it, for people. */
export function adoptionReport(survey: Survey, rejectedTable: string): string {
  const { tables, added_accounts, findings } = survey;
  const lines = ['Rows', ...table(tables.map(rowsOf))];
  if (added_accounts > 0) lines.push(`  accounts that are added: ${amount(added_accounts)}`);
  lines.push(...counts('Password hashes', survey.password_hashes));
  lines.push(...counts('Times', survey.time_forms));
  if (survey.other_columns.length > 0 || survey.other_tables.length > 0) {
    const others = [...survey.other_tables, ...survey.other_columns].join(', ');
    lines.push(`Left alone\n  ${others}`);
  }
  for (const { kind, table, what, rows, examples } of findings) {
    const where = kind === 'rejected' ? ` (goes to ${rejectedTable})` : '';
    lines.push(
      `${LABEL[kind]}${where}  ${table}, ${amount(rows)} ${rows === 1 ? 'row' : 'rows'}: ${what}`,
    );
    lines.push(`  such as ${examples.map((example) => JSON.stringify(example)).join(', ')}`);
  }
  return `${lines.join('\n')}\n`;
}

const LABEL: Record<Survey['findings'][number]['kind'], string> = {
  problem: 'Problem',
  rejected: 'Rejected',
  deleted: 'Deleted',
  changed: 'Changed',
  note: 'Note',
};

function rowsOf(report: Survey['tables'][number]): string[] {
  const { name, rows, kept, deleted, rejected } = report;
  const parts = [`${amount(kept)} taken over`];
  if (deleted > 0) parts.push(`${amount(deleted)} deleted`);
  if (rejected > 0) parts.push(`${amount(rejected)} rejected`);
  return [name, amount(rows), parts.join(', ')];
}

function table(rows: string[][]): string[] {
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const [name, number] = [width(0), width(1)];
  return rows.map(
    ([first = '', second = '', third = '']) =>
      `  ${first.padEnd(name)}  ${second.padStart(number)}  ${third}`,
  );
}

function counts(title: string, all: Record<string, number>): string[] {
  const entries = Object.entries(all).sort(([, a], [, b]) => b - a);
  if (entries.length === 0) return [];
  return [title, ...entries.map(([what, count]) => `  ${what}: ${amount(count)}`)];
}
