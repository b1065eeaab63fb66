/** What each connection sends, over and over. Robots are dealt out to the connections, one each as in a real fleet. */
export type Workload =
  | { kind: 'status'; token: string; robot_ids: string[] }
  /** Samples 100 ms of recording time apart, from `first_timestamp_ms` on, each with its own event id. */
  | {
      kind: 'batch';
      token: string;
      robot_ids: string[];
      size: number;
      first_timestamp_ms: number;
    }
  | { kind: 'get'; token: string; path: string }
  | { kind: 'post'; token: string | null; path: string; body: string };

export interface Job {
  port: number;
  connections: number;
  duration_ms: number;
  /** Requests per second of an open loop, whose latency counts from the scheduled time; null for a closed loop. */
  rate: number | null;
  workload: Workload;
  /** Sequence numbers are handed out from here on, so that no two statuses of a database are the same. */
  first_sequence: number;
  /** The server dies during this run: lost connections end it and the acknowledged sequence numbers are kept. */
  until_death: boolean;
}

export interface RunResult {
  /** Replies with a 2xx status. */
  acknowledged: number;
  /** Replies with another status, by status. */
  refused: Record<string, number>;
  first_refusal: string | null;
  /** From the first request to the last reply. */
  duration_ms: number;
  p50_ms: number;
  p99_ms: number;
  max_ms: number;
  body_bytes: number;
  /** The first number that was not handed out. */
  next_sequence: number;
  /** Filled in a run until death alone. */
  acknowledged_sequences: number[];
}

export type GeneratorReply = { result: RunResult } | { error: string };
