import type { IngestRow, IngestVerdict } from '../ingest.js';
import type { ConnectionMode } from './connection.js';

/** What a thread that owns one connection is started with. */
export interface ThreadData {
  path: string;
  mode: ConnectionMode;
}

export interface Statement {
  sql: string;
  parameters: readonly unknown[];
}

export type Request =
  | ({ id: number; kind: 'statement' } & Statement)
  | { id: number; kind: 'batch'; statements: Statement[] }
  | { id: number; kind: 'ingest'; group: IngestGroup }
  | { id: number; kind: 'close' };

export interface StatementResult {
  rows: unknown[];
  changes: number;
}

export type Reply =
  | { id: number; ok: true; value: StatementResult | unknown[][] | number[] | undefined }
  | { id: number; ok: false; message: string; code: string };

type Value = string | number | null;

/** Rows on their way between threads: one flat list of values, which costs a third of as many objects to hand over. */
export interface IngestGroup {
  kinds: IngestRow['kind'][];
  values: Value[];
}

/** The columns of each kind of row, in the order of their values. */
export const INGEST_COLUMNS = {
  status: [
    'robot_id',
    'account_id',
    'status_json',
    'timestamp',
    'received_at',
    'event_id',
    'x',
    'y',
    'lat',
    'lng',
    'battery_level',
  ],
  log: [
    'robot_id',
    'account_id',
    'topic',
    'message',
    'level',
    'timestamp',
    'received_at',
    'event_id',
  ],
  message: [
    'robot_id',
    'account_id',
    'schema_id',
    'payload',
    'timestamp',
    'received_at',
    'event_id',
  ],
} as const satisfies { [K in IngestRow['kind']]: readonly (keyof RowOf<K>)[] };

type RowOf<K> = Extract<IngestRow, { kind: K }>['row'];

export function packGroup(rows: readonly IngestRow[]): IngestGroup {
  const group: IngestGroup = { kinds: [], values: [] };
  for (const { kind, row } of rows) {
    group.kinds.push(kind);
    for (const column of INGEST_COLUMNS[kind]) {
      group.values.push((row as Record<string, Value>)[column] ?? null);
    }
  }
  return group;
}

/** A verdict as one number: the id of a stored row, or one of these. */
export const DUPLICATE = 0;
export const GONE = -1;
export const REFUSED = -2;

export function unpackVerdict(code: number): IngestVerdict {
  if (code > 0) return { outcome: 'stored', id: code };
  return { outcome: code === DUPLICATE ? 'duplicate' : code === GONE ? 'gone' : 'refused' };
}
