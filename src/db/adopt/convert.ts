import type { RawRow } from '../pages.js';
import { convertAccount, convertCode } from './accounts.js';
import { type Cells, cellsOf, Rejection } from './cells.js';
import type { FindingKind, Findings } from './findings.js';
import type { Known } from './known.js';
import { convertAlert, convertMap, convertRule } from './nouns.js';
import type { KairoioTable } from './original.js';
import { convertLog, convertRobot, convertStatus } from './telemetry.js';

type Note = (kind: FindingKind, what: string) => void;

/** One row of the original as a row of ours, `deleted` when the original had deleted it. Each throws a Rejection. */
const CONVERT: Record<
  KairoioTable,
  (cells: Cells, known: Known, note: Note) => object | 'deleted'
> = {
  accounts: convertAccount,
  robots: convertRobot,
  robot_statuses: convertStatus,
  robot_logs: convertLog,
  alerts: convertAlert,
  maps: (cells, _known, note) => convertMap(cells, note),
  email_verification_codes: convertCode,
  alert_rules: convertRule,
};

export type Converted =
  | { outcome: 'kept'; row: object }
  | { outcome: 'deleted' }
  | { outcome: 'rejected'; reason: string };

export interface Converter {
  /** @param twice the id of the row has been there before. */
  convert(table: KairoioTable, raw: RawRow, twice: boolean): Converted;
  /** How instants were written, with how many of each. */
  timeForms: Map<string, number>;
}

export function createConverter(known: Known, findings: Findings): Converter {
  const timeForms = new Map<string, number>();
  function read(table: KairoioTable, raw: RawRow, twice: boolean): Converted {
    const key = keyOf(raw);
    const note: Note = (kind, what) => findings.add(kind, table, what, key);
    const cells = cellsOf(raw, {
      note,
      onInstant: ({ form }) => timeForms.set(form, (timeForms.get(form) ?? 0) + 1),
    });
    try {
      if (twice) throw new Rejection('another row has the same id');
      const row = CONVERT[table](cells, known, note);
      if (row !== 'deleted') return { outcome: 'kept', row };
      const why = cells.isSet('deleted_at')
        ? 'deleted in KairoIO: in the backup alone'
        : 'belongs to what was deleted in KairoIO: in the backup alone';
      note('deleted', why);
      return { outcome: 'deleted' };
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      note('rejected', error.message);
      return { outcome: 'rejected', reason: error.message };
    }
  }
  return { convert: read, timeForms };
}

/** What names a row to people. */
export function keyOf(raw: RawRow): string {
  return String(raw.id ?? raw.email ?? 'without an id');
}
