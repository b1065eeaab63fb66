import type { IngestRow, IngestVerdict, IngestWriter } from '../db/ingest.js';
import { DomainError, stopping } from '../lib/errors.js';
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
  /** Told of each commit in the order of the commits, before those who pushed the rows are. */
  onStored?: (rows: readonly IngestRow[], verdicts: readonly IngestVerdict[]) => void;
}

interface Submission {
  rows: readonly IngestRow[];
  resolve(verdicts: IngestVerdict[]): void;
  reject(error: Error): void;
}

const GROUP_ROWS = 1_000;
/** As many rows are worth a commit of their own while another is under way. */
const PIPELINE_ROWS = 32;

export function createIngest(deps: IngestDeps): Ingest {
  const { writer, limitRows, log, onCommit, onStored } = deps;
  let queue: Submission[] = [];
  let queuedRows = 0;
  let unsentRows = 0;
  let groupsUnderWay = 0;
  let isTurnScheduled = false;
  let closed = false;
  let onIdle: (() => void) | undefined;

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
    unsentRows -= rows;
    return group;
  }

  async function commit(group: readonly Submission[]): Promise<void> {
    const rows = group.flatMap((submission) => submission.rows);
    groupsUnderWay += 1;
    const startMs = performance.now();
    let verdicts: IngestVerdict[] | undefined;
    try {
      verdicts = await writer.write(rows);
      onCommit?.(rows.length, performance.now() - startMs);
    } catch (error) {
      log.error({ err: error, rows: rows.length }, 'a group of telemetry could not be stored');
    }
    groupsUnderWay -= 1;
    queuedRows -= rows.length;
    // The writer has its next group before this one is answered, so that neither waits for the other.
    send();
    if (verdicts) onStored?.(rows, verdicts);
    let from = 0;
    for (const submission of group) {
      const until = from + submission.rows.length;
      if (verdicts) submission.resolve(verdicts.slice(from, until));
      else submission.reject(databaseFails());
      from = until;
    }
    if (queuedRows === 0) onIdle?.();
  }

  /** A free writer gets whatever waits; a busy one that can line groups up gets the next when it is worth it. */
  function send(): void {
    while (
      queue.length > 0 &&
      (groupsUnderWay === 0 ||
        (groupsUnderWay < writer.groupsAtOnce && unsentRows >= PIPELINE_ROWS))
    ) {
      void commit(takeGroup());
    }
  }

  /** What arrives in one turn of the event loop goes together, unless it is much. */
  function sendSoon(): void {
    if (unsentRows >= PIPELINE_ROWS) {
      send();
    } else if (!isTurnScheduled) {
      isTurnScheduled = true;
      setImmediate(() => {
        isTurnScheduled = false;
        send();
      });
    }
  }

  return {
    push(rows) {
      if (closed) return Promise.reject(stopping());
      if (queuedRows + rows.length > limitRows) return Promise.reject(queueFull());
      queuedRows += rows.length;
      unsentRows += rows.length;
      return new Promise((resolve, reject) => {
        queue.push({ rows, resolve, reject });
        sendSoon();
      });
    },
    depth: () => queuedRows,
    drain() {
      closed = true;
      if (queuedRows === 0) return Promise.resolve();
      return new Promise((resolve) => {
        onIdle = resolve;
      });
    },
  };
}

function databaseFails(): DomainError {
  const message = 'The database is not taking writes; send it again later';
  return new DomainError('unavailable', message, { retryAfterMs: 5_000 });
}

function queueFull(): DomainError {
  const message = 'Too much telemetry is waiting to be stored; send it again';
  return new DomainError('overloaded', message, { limit: 'ingest_queue', retryAfterMs: 1_000 });
}
