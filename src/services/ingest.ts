import type { IngestRow, IngestVerdict, IngestWriter } from '../db/ingest.js';
import { DomainError } from '../lib/errors.js';
import type { Logger } from '../lib/logger.js';

/**
 * The one way in for telemetry, whichever door it came through: a bounded queue in front of one writer. Whatever waits
 * when the writer is free becomes one commit, so the groups grow with the load and nobody waits for a timer.
 */
export interface Ingest {
  /**
   * Resolves after the commit, with one verdict a row, in order.
   * @throws DomainError `overloaded` when the queue is full, `unavailable` when the database fails. Nothing of this
   *   call is stored then.
   */
  push(rows: readonly IngestRow[]): Promise<IngestVerdict[]>;
  /** Rows waiting for a commit. */
  depth(): number;
  /** Refuses what comes from now on and resolves when what was accepted is committed. */
  drain(): Promise<void>;
}

export interface IngestDeps {
  writer: IngestWriter;
  limitRows: number;
  log: Logger;
  /** Told after each commit: how many rows it held and how long it took. */
  onCommit?: (rows: number, durationMs: number) => void;
}

interface Submission {
  rows: readonly IngestRow[];
  resolve(verdicts: IngestVerdict[]): void;
  reject(error: Error): void;
}

const GROUP_ROWS = 1_000;

export function createIngest({ writer, limitRows, log, onCommit }: IngestDeps): Ingest {
  let queue: Submission[] = [];
  let queuedRows = 0;
  let working: Promise<void> | undefined;
  let closed = false;

  /** Takes submissions whole, up to a full group; one that is larger goes alone. */
  function takeGroup(): Submission[] {
    let rows = 0;
    let take = 0;
    for (const submission of queue) {
      if (take > 0 && rows + submission.rows.length > GROUP_ROWS) break;
      rows += submission.rows.length;
      take += 1;
    }
    const group = queue.slice(0, take);
    queue = queue.slice(take);
    return group;
  }

  async function commit(group: readonly Submission[]): Promise<void> {
    const rows = group.flatMap((submission) => submission.rows);
    try {
      const startMs = performance.now();
      const verdicts = await writer.write(rows);
      onCommit?.(rows.length, performance.now() - startMs);
      let from = 0;
      for (const submission of group) {
        const until = from + submission.rows.length;
        submission.resolve(verdicts.slice(from, until));
        from = until;
      }
    } catch (error) {
      log.error({ err: error, rows: rows.length }, 'a group of telemetry could not be stored');
      const failure = new DomainError(
        'unavailable',
        'The database is not taking writes; send it again later',
        {
          retryAfterMs: 5_000,
        },
      );
      for (const submission of group) submission.reject(failure);
    }
    queuedRows -= rows.length;
  }

  async function work(): Promise<void> {
    while (queue.length > 0) {
      // Everything that arrives in this turn of the event loop goes into the same commit.
      await new Promise((resolve) => setImmediate(resolve));
      await commit(takeGroup());
    }
    working = undefined;
  }

  return {
    push(rows) {
      if (closed) {
        return Promise.reject(
          new DomainError('unavailable', 'The server is stopping; send it again', {
            retryAfterMs: 1_000,
          }),
        );
      }
      if (queuedRows + rows.length > limitRows) {
        return Promise.reject(
          new DomainError(
            'overloaded',
            'Too much telemetry is waiting to be stored; send it again',
            {
              limit: 'ingest_queue',
              retryAfterMs: 1_000,
            },
          ),
        );
      }
      queuedRows += rows.length;
      return new Promise((resolve, reject) => {
        queue.push({ rows, resolve, reject });
        working ??= work();
      });
    },
    depth: () => queuedRows,
    async drain() {
      closed = true;
      await working;
    },
  };
}
