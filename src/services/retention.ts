import type { Db } from '../db/client.js';
import { deleteAuditBefore } from '../db/repositories/audit.js';
import { allRobots, deleteRobot, type RobotRow } from '../db/repositories/robots.js';
import { deleteStreamEventsBefore } from '../db/repositories/stream-events.js';
import {
  deleteAnyOf,
  deleteExpired,
  hasExpired,
  type TelemetryTable,
} from '../db/repositories/telemetry.js';
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
  /** Days that messages are kept; null for ever. */
  messageDays?: number | null;
  /** Days that the changes of alerts and commands can be replayed for; null for ever. */
  eventDays?: number | null;
  /** Days that audit entries are kept; null for ever. */
  auditDays?: number | null;
  onDeleted?: (rows: number) => void;
}

const TELEMETRY = ['robot_statuses', 'robot_logs', 'robot_messages'] as const;
const DAY_MS = 86_400_000;
const SWEEP_EVERY_MS = 60_000;
/** About 2 ms of the writer's time, less than one commit of a busy group. */
const SLICE_ROWS = 200;

export function createRetention(deps: RetentionDeps): Retention {
  const { db, clock, log, auditDays = null, eventDays = null, onDeleted } = deps;
  const daysOf: Record<TelemetryTable, number | null> = {
    robot_statuses: deps.statusDays,
    robot_logs: deps.logDays,
    robot_messages: deps.messageDays ?? null,
  };
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

  /** Deletes what a robot sent too long ago. */
  async function expire({ id, account_id }: RobotRow, now: number): Promise<number> {
    let total = 0;
    for (const table of TELEMETRY) {
      const days = daysOf[table];
      if (days === null) continue;
      const expired = { table, account_id, robot_id: id, before: now - days * DAY_MS };
      // Most robots have nothing to delete most of the time, and looking takes nothing from the writer.
      if (!(await hasExpired(db, expired))) continue;
      total += await drain(() =>
        db.transaction().execute((tx) => deleteExpired(tx, { ...expired, limit: SLICE_ROWS })),
      );
    }
    return total;
  }

  /** Deletes a robot with all that it sent. */
  async function remove(robotId: string): Promise<number> {
    let total = 0;
    for (const table of [...TELEMETRY, 'commands', 'stream_events'] as const) {
      total += await drain(() => deleteAnyOf(db, table, robotId, SLICE_ROWS));
    }
    if (!stopped) await deleteRobot(db, robotId);
    return total;
  }

  async function sweepOnce(): Promise<number> {
    const now = clock.now();
    let total = 0;
    for (const robot of await allRobots(db)) {
      if (stopped) break;
      total += robot.deleted_at === null ? await expire(robot, now) : await remove(robot.id);
    }
    if (eventDays !== null) {
      const before = now - eventDays * DAY_MS;
      total += await drain(() =>
        db.transaction().execute((tx) => deleteStreamEventsBefore(tx, before, SLICE_ROWS)),
      );
    }
    if (auditDays !== null) {
      const before = now - auditDays * DAY_MS;
      total += await drain(() => deleteAuditBefore(db, before, SLICE_ROWS));
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
