import { performance } from 'node:perf_hooks';
import type { Connection } from './connection.js';
import type { Job } from './job.js';

export interface Loop {
  /** Called with each connection whose reply has arrived. */
  release(connection: Connection): void;
  stop(): void;
}

/** Calls `onDone` when the time is over and every request that was sent has its reply. */
export function startLoop(job: Job, connections: Connection[], onDone: () => void): Loop {
  return job.rate === null
    ? closedLoop(job.duration_ms, connections, onDone)
    : openLoop(job.rate, job.duration_ms, connections, onDone);
}

/** Each connection sends its next request as soon as the reply to the last one is there. */
function closedLoop(durationMs: number, connections: Connection[], onDone: () => void): Loop {
  const endsAtMs = performance.now() + durationMs;
  let busy = connections.length;
  for (const connection of connections) connection.send(performance.now());
  return {
    release(connection) {
      const nowMs = performance.now();
      if (nowMs < endsAtMs) connection.send(nowMs);
      else if (--busy === 0) onDone();
    },
    stop() {},
  };
}

/**
 * Requests leave at a fixed rate whether or not earlier ones were answered. What finds no free connection waits, and its
 * latency counts from the moment it was due, so that a stalled server cannot hide its stall.
 */
function openLoop(
  rate: number,
  durationMs: number,
  connections: Connection[],
  onDone: () => void,
): Loop {
  const startedAtMs = performance.now();
  const total = Math.floor((rate * durationMs) / 1000);
  const idle = [...connections];
  let due = 0;
  let sent = 0;
  let answered = 0;
  const dueAtMs = (index: number): number => startedAtMs + (index * 1000) / rate;
  const sendDue = (): void => {
    while (sent < due && idle.length > 0) (idle.pop() as Connection).send(dueAtMs(sent++));
  };
  const timer = setInterval(() => {
    due = Math.min(total, Math.floor(((performance.now() - startedAtMs) * rate) / 1000) + 1);
    sendDue();
  }, 1);
  return {
    release(connection) {
      idle.push(connection);
      if (++answered === total) onDone();
      else sendDue();
    },
    stop: () => clearInterval(timer),
  };
}
