import { performance } from 'node:perf_hooks';
import { Latencies, percentile } from '../lib/stats.js';
import { Connection } from './connection.js';
import type { Job, RunResult } from './job.js';
import { startLoop } from './loops.js';
import { createSource, type SequenceCounter } from './request-source.js';
import type { Reply } from './response-parser.js';

/** No reply for this long: the server hangs, and so would the run. */
const SILENCE_LIMIT_MS = 60_000;

/** Runs one job to its end: every request that was sent has its reply, unless the server is meant to die. */
export async function runJob(job: Job): Promise<RunResult> {
  const latencies = new Latencies();
  const refused: Record<string, number> = {};
  const acknowledgedSequences: number[] = [];
  let acknowledged = 0;
  let bodyBytes = 0;
  let firstRefusal: string | null = null;
  let lastReplyMs = 0;
  let nextSequence = job.first_sequence;
  const sequences: SequenceCounter = {
    take(count) {
      const first = nextSequence;
      nextSequence += count;
      return first;
    },
  };
  let finish: (failure?: Error) => void = () => {};
  const finished = new Promise<void>((resolve, reject) => {
    finish = (failure) => (failure === undefined ? resolve() : reject(failure));
  });
  // Lost connections may settle it before anybody waits for it.
  finished.catch(() => {});

  const count = (connection: Connection, reply: Reply): void => {
    lastReplyMs = performance.now();
    latencies.add(lastReplyMs - connection.startedAtMs);
    bodyBytes += reply.bodyBytes;
    if (reply.status >= 200 && reply.status < 300) {
      acknowledged++;
      if (job.until_death) acknowledgedSequences.push(connection.source.sequence);
      return;
    }
    refused[reply.status] = (refused[reply.status] ?? 0) + 1;
    firstRefusal ??= `${reply.status} ${reply.excerpt}`;
  };

  let release: (connection: Connection) => void = () => {};
  let lost = 0;
  const connections = await Promise.all(
    Array.from({ length: job.connections }, (_, index) =>
      Connection.open(job.port, createSource(job, index, sequences), {
        onReply(connection, reply) {
          count(connection, reply);
          release(connection);
        },
        onLost(_connection, reason) {
          lost++;
          if (!job.until_death) finish(reason);
          else if (lost === job.connections) finish();
        },
      }),
    ),
  );

  const startedAtMs = performance.now();
  const loop = startLoop(job, connections, () => finish());
  release = loop.release;
  const watchdog = setInterval(() => {
    if (performance.now() - Math.max(lastReplyMs, startedAtMs) > SILENCE_LIMIT_MS) {
      finish(new Error(`no reply for ${SILENCE_LIMIT_MS / 1000} s`));
    }
  }, 1000);
  try {
    await finished;
  } finally {
    clearInterval(watchdog);
    loop.stop();
    for (const connection of connections) connection.close();
  }
  const ascending = latencies.ascending();
  return {
    acknowledged,
    refused,
    first_refusal: firstRefusal,
    duration_ms: Math.max(lastReplyMs - startedAtMs, 0),
    p50_ms: percentile(ascending, 0.5),
    p99_ms: percentile(ascending, 0.99),
    max_ms: percentile(ascending, 1),
    body_bytes: bodyBytes,
    next_sequence: nextSequence,
    acknowledged_sequences: acknowledgedSequences,
  };
}
