import type { Clock } from '../lib/clock.js';

export interface Reading {
  sent: number;
  ok: number;
  failed: number;
  /** Requests answered per second, over the last five seconds. */
  ratePerSecond: number;
  /** The middle of the last answers' times; null before the first. */
  p50Ms: number | null;
  seconds: number;
  /** Commands that the robots did, and that they could not do. */
  commands: { completed: number; failed: number };
}

/** Counts what became of the robots' requests. */
export interface Meter {
  sent(): void;
  ok(latencyMs: number): void;
  failed(): void;
  command(end: 'completed' | 'failed'): void;
  read(): Reading;
}

const WINDOW_MS = 5_000;
const LATENCIES = 2_048;

export function createMeter(clock: Pick<Clock, 'now'>): Meter {
  const startMs = clock.now();
  const count = { sent: 0, ok: 0, failed: 0 };
  const commands = { completed: 0, failed: 0 };
  const latencies: number[] = [];
  let samples = [{ atMs: startMs, answered: 0 }];

  return {
    sent() {
      count.sent += 1;
    },
    ok(latencyMs) {
      latencies[count.ok % LATENCIES] = latencyMs;
      count.ok += 1;
    },
    failed() {
      count.failed += 1;
    },
    command(end) {
      commands[end] += 1;
    },
    read() {
      const now = clock.now();
      samples.push({ atMs: now, answered: count.ok });
      const recent = samples.findLastIndex(({ atMs }) => atMs <= now - WINDOW_MS);
      if (recent > 0) samples = samples.slice(recent);
      const since = samples[0] ?? { atMs: startMs, answered: 0 };
      const seconds = (now - since.atMs) / 1_000;
      return {
        ...count,
        commands: { ...commands },
        ratePerSecond: seconds > 0 ? (count.ok - since.answered) / seconds : 0,
        p50Ms: middle(latencies),
        seconds: (now - startMs) / 1_000,
      };
    },
  };
}

function middle(values: readonly number[]): number | null {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? null;
}
