import type { IngestRow, IngestVerdict } from '../ingest.js';

/** What is sent to a thread that owns one connection, and what comes back. */
export interface ThreadData {
  path: string;
  readonly: boolean;
}

export type Request =
  | { id: number; kind: 'statement'; sql: string; parameters: readonly unknown[] }
  | { id: number; kind: 'ingest'; rows: readonly IngestRow[] }
  | { id: number; kind: 'close' };

export interface StatementResult {
  rows: unknown[];
  changes: number;
}

export type Reply =
  | { id: number; ok: true; value: StatementResult | IngestVerdict[] | undefined }
  | { id: number; ok: false; message: string; code: string };
