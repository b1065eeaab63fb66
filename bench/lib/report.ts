import type { SuiteResult, TableRow } from './suite.js';
import { formatNumber, formatTable } from './table.js';
import type { Verdict } from './verdict.js';

export function formatSuite(name: string, result: SuiteResult): string {
  const parts = [`\n## ${name}`];
  if (result.rows.length > 0) parts.push(formatRows(result.rows));
  parts.push(formatVerdicts(result.verdicts));
  if (result.notes.length > 0) parts.push(result.notes.map((note) => `note: ${note}`).join('\n'));
  return parts.join('\n\n');
}

function formatRows(rows: readonly TableRow[]): string {
  return formatTable(
    ['variant', 'req/s', 'ratio', 'p50 ms', 'p99 ms', 'CPU us/req'],
    rows.map((row) => [
      row.variant,
      formatNumber(row.per_second),
      row.ratio === null ? '-' : row.ratio.toFixed(2),
      formatNumber(row.p50_ms),
      formatNumber(row.p99_ms),
      formatNumber(row.cpu_us_per_request),
    ]),
    ['left', 'right', 'right', 'right', 'right', 'right'],
  );
}

function formatVerdicts(verdicts: readonly Verdict[]): string {
  return formatTable(
    ['must', 'limit', 'measured', ''],
    verdicts.map((verdict) => [
      verdict.name,
      `${verdict.relation} ${verdict.must} ${verdict.unit}`.trim(),
      `${formatNumber(verdict.measured)} ${verdict.unit}`.trim(),
      verdict.kept ? 'kept' : 'NOT KEPT',
    ]),
    ['left', 'left', 'right', 'left'],
  );
}
