import type { Principal } from '../contract/access.js';
import { toInstant } from '../contract/common.js';
import type { Db } from '../db/client.js';
import {
  hasMorePositions,
  historyPage,
  type JsonPage,
  newestStatuses,
  type StatusCursor,
  type StatusRange,
  type StatusRow,
  sampledTrajectory,
  trajectoryPage,
} from '../db/repositories/statuses.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Fleet } from './fleet.js';
import { formatCursor, parseTimeCursor } from './time-cursor.js';

export interface TimeRange {
  start?: number | undefined;
  end?: number | undefined;
}

/** What a robot reported before: pages of rows, and streams of JSON text that hold one page in memory at a time. */
export interface StatusHistory {
  /** A page of statuses, newest first. */
  page(
    principal: Principal,
    robotId: string,
    query: TimeRange & { limit: number; cursor?: string | undefined },
  ): Promise<{ rows: StatusRow[]; next_cursor: string | null }>;
  /** Everything in the range as JSON array elements, oldest first. */
  historyJson(
    principal: Principal,
    robotId: string,
    range: Required<TimeRange>,
  ): Promise<AsyncIterable<JsonPage>>;
  /**
   * Every position in the range (by default the last 24 hours) as JSON array elements, oldest first; with `maxPoints`,
   * the first position of each of that many slices of time.
   */
  trajectoryJson(
    principal: Principal,
    robotId: string,
    range: TimeRange,
    maxPoints?: number,
  ): Promise<AsyncIterable<JsonPage>>;
}

const DAY_MS = 86_400_000;
/** Rows of a page of history: one status may be as large as a request, so a page is cut by its length too. */
const HISTORY_PAGE = 100;
const FIRST_HISTORY_PAGE = 5;
const HISTORY_PAGE_CHARACTERS = 1_000_000;
/** Keeps each turn of the reading thread near 2 ms, so that readers take turns. */
const TRAJECTORY_PAGE = 1_000;

export function createStatusHistory(deps: { db: Db; fleet: Fleet; clock: Clock }): StatusHistory {
  const { db, fleet, clock } = deps;

  async function rangeOf(
    principal: Principal,
    robot_id: string,
    { start, end }: TimeRange,
    defaultSpanMs: number,
  ): Promise<StatusRange> {
    await fleet.owned(principal, robot_id);
    const last = end ?? clock.now();
    const range = { start: start ?? Math.max(0, last - defaultSpanMs), end: last };
    if (range.start > range.end)
      throw new DomainError('invalid_input', 'start must not be after end');
    return { account_id: principal.account_id, robot_id, ...range };
  }

  return {
    async page(principal, robotId, { limit, cursor, ...times }) {
      const range = await rangeOf(principal, robotId, times, Number.MAX_SAFE_INTEGER);
      const rows = await newestStatuses(
        db,
        range,
        limit,
        cursor ? parseTimeCursor(cursor) : undefined,
      );
      const last = rows.at(-1);
      const next_cursor =
        rows.length === limit && last ? formatCursor(last.timestamp, last.id) : null;
      return { rows, next_cursor };
    },
    async historyJson(principal, robotId, times) {
      const range = await rangeOf(principal, robotId, times, DAY_MS);
      let rows = FIRST_HISTORY_PAGE;
      return pages(async (cursor) => {
        const page = await historyPage(db, range, rows, cursor);
        const fitting = Math.floor(
          (HISTORY_PAGE_CHARACTERS * page.count) / Math.max(1, page.elements.length),
        );
        rows = Math.min(HISTORY_PAGE, Math.max(1, fitting));
        return page;
      });
    },
    async trajectoryJson(principal, robotId, times, maxPoints) {
      const range = await rangeOf(principal, robotId, times, DAY_MS);
      if (maxPoints !== undefined && (await hasMorePositions(db, range, maxPoints))) {
        return pages(() => sampledTrajectory(db, range, maxPoints));
      }
      return pages((cursor) => trajectoryPage(db, range, TRAJECTORY_PAGE, cursor));
    },
  };
}

/** Reads a page ahead of its consumer, so that reading and sending overlap. */
async function* pages(
  read: (cursor: StatusCursor | undefined) => Promise<JsonPage>,
): AsyncGenerator<JsonPage> {
  let page = await read(undefined);
  while (page.next) {
    const following = read(page.next);
    // Awaited below; until then a failure must not count as unhandled.
    following.catch(() => {});
    yield page;
    page = await following;
  }
  yield page;
}

/** A stored row in the shape of the wire. */
export function historyEntry(row: StatusRow) {
  const { id, robot_id, account_id, status_json, timestamp, received_at } = row;
  return {
    id,
    robot_id,
    account_id,
    status_json,
    timestamp: toInstant(timestamp),
    received_at: toInstant(received_at),
  };
}
