import type { Db } from '../db/client.js';
import { deleteLogsBefore } from '../db/repositories/logs.js';
import { allRobots, deleteRobot } from '../db/repositories/robots.js';
import { deleteStatuses, deleteStatusesBefore } from '../db/repositories/statuses.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';

/** Deletes what is too old and what belonged to deleted robots, in slices between which ingest gets its turn. */
export interface Retention {
  /** Deletes everything that is due. Calls while one runs join it. Returns the number of rows. */
  sweep(): Promise<number>;
  /** Sweeps now and every minute until stopped. */
  start(): () => Promise<void>;
}

export interface RetentionDeps {
  db: Db;
  clock: Clock;
  log: Logger;
  /** Days that statuses are kept; null for ever. A robot's newest status is always kept. */
  statusDays: number | null;
  /** Days that logs are kept; null for ever. */
  logDays: number | null;
  onDeleted?: (rows: number) => void;
}

const DAY_MS = 86_400_000;
const SWEEP_EVERY_MS = 60_000;
/** About 2 ms of the writer's time, less than one commit of a busy group. */
const SLICE_ROWS = 200;

export function createRetention(deps: RetentionDeps): Retention {
  const { db, clock, log, statusDays, logDays, onDeleted } = deps;
  let running: Promise<number> | undefined;
  let again = false;
  let stopped = false;

  /** Deletes slice after slice until one comes back short, or until stopped. */
  async function drain(slice: () => Promise<number>): Promise<number> {
    let total = 0;
    while (!stopped) {
      const deleted = await slice();
      total += deleted;
      if (deleted > 0) onDeleted?.(deleted);
      if (deleted < SLICE_ROWS) break;
      // The next slice stands behind whatever ingest has queued meanwhile.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return total;
  }

  async function sweepOnce(): Promise<number> {
    const now = clock.now();
    let total = 0;
    for (const { id, deleted_at } of await allRobots(db)) {
      if (stopped) break;
      if (deleted_at !== null) {
        total += await drain(() => deleteStatuses(db, id, SLICE_ROWS));
        total += await drain(() => deleteLogsBefore(db, id, Number.MAX_SAFE_INTEGER, SLICE_ROWS));
        if (!stopped) await deleteRobot(db, id);
        continue;
      }
      if (statusDays !== null) {
        const before = now - statusDays * DAY_MS;
        total += await drain(() => deleteStatusesBefore(db, id, before, SLICE_ROWS));
      }
      if (logDays !== null) {
        const before = now - logDays * DAY_MS;
        total += await drain(() => deleteLogsBefore(db, id, before, SLICE_ROWS));
      }
    }
    return total;
  }

  async function sweepAll(): Promise<number> {
    let total = 0;
    do {
      again = false;
      total += await sweepOnce();
    } while (again && !stopped);
    return total;
  }

  function sweep(): Promise<number> {
    if (running) again = true;
    running ??= sweepAll().finally(() => {
      running = undefined;
    });
    return running;
  }

  return {
    sweep,
    start() {
      const run = () =>
        void sweep().catch((error: unknown) => log.error({ err: error }, 'retention failed'));
      const stop = clock.every(SWEEP_EVERY_MS, run);
      run();
      return async () => {
        stopped = true;
        stop();
        await running?.catch(() => {});
      };
    },
  };
}
