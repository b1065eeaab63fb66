import { stringify } from 'csv-stringify/sync';
import { z } from 'zod';
import { AuditEntry, AuditFilter } from '../../contract/audit.js';
import { InstantQuery, toInstant } from '../../contract/common.js';
import { type Row, row } from '../define.js';

const AUDIT_PATH = '/api/v1/audit';
const Range = AuditFilter.extend({ start: InstantQuery, end: InstantQuery });
const COLUMNS = Object.keys(AuditEntry.shape);

export const AUDIT: readonly Row[] = [
  row('GET', AUDIT_PATH, 'audit.list', {
    summary: 'Who did what to which robot, newest first',
    tag: 'Audit',
    query: Range.extend({
      limit: z.coerce.number().int().min(1).max(1_000).optional(),
      cursor: z.string().max(20).optional(),
    }),
    input: ({ query: { start, end, ...query } }) => ({
      ...query,
      start: start === undefined ? undefined : toInstant(start),
      end: end === undefined ? undefined : toInstant(end),
    }),
  }),
  row('GET', `${AUDIT_PATH}/export`, 'audit.list', {
    operation: 'audit.export',
    summary: 'The whole audit as CSV for spreadsheets, newest first',
    tag: 'Audit',
    query: Range,
    text: {
      type: 'text/csv',
      fileName: 'audit.csv',
      open: async ({ ctx, principal, query }) => csvOf(ctx.services.audit.pages(principal, query)),
    },
  }),
];

/** RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe. */
async function* csvOf(pages: AsyncIterable<AuditEntry[]>): AsyncGenerator<string> {
  let header = true;
  for await (const entries of pages) {
    const rows = entries.map(({ details, ...entry }) => ({
      ...entry,
      details: details && JSON.stringify(details),
    }));
    yield stringify(rows, {
      ...{ columns: COLUMNS, header, escape_formulas: true, record_delimiter: 'windows' },
    });
    header = false;
  }
}
