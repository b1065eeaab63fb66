import type { BenchArgs } from './args.js';
import type { Generator } from './generator.js';
import type { PostgresServer } from './postgres.js';
import type { Verdict } from './verdict.js';

export interface Round {
  per_second: number;
  p50_ms: number;
  p99_ms: number;
  cpu_us_per_request: number | null;
}

export interface TableRow {
  variant: string;
  /** Requests, or with batches statuses, per second; null where the time alone counts. */
  per_second: number | null;
  /** To the first row, or to what the variant names. */
  ratio: number | null;
  p50_ms: number | null;
  p99_ms: number | null;
  cpu_us_per_request: number | null;
  /** What the medians were taken from; for the file, not for the table. */
  rounds: Round[];
}

export interface SuiteResult {
  rows: TableRow[];
  verdicts: Verdict[];
  notes: string[];
}

export interface Bench {
  args: BenchArgs;
  /** For the suite alone; removed after it. */
  directory: string;
  generator: Generator;
  /** Starts PostgreSQL on first use; a string says why there is none. */
  postgres(): Promise<PostgresServer | string>;
  progress(text: string): void;
}

export type Suite = (bench: Bench) => Promise<SuiteResult>;
