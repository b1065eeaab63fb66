import type { Principal } from '../contract/access.js';
import { type LiveLog, type LogFilter, type LogsInput, PushLogInput } from '../contract/logs.js';
import type { BatchVerdict, PushedBatch } from '../contract/status.js';
import type { Db } from '../db/client.js';
import type { IngestRow } from '../db/ingest.js';
import {
  findLogCursor,
  type LogRow,
  lastLogId,
  logsAfter,
  newestLogs,
} from '../db/repositories/logs.js';
import { horizonOf } from '../db/repositories/stream-horizons.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Durable } from '../realtime/durable.js';
import { StreamEvent } from '../realtime/event.js';
import { assertStored, batchVerdict, pushedBatch } from './batch.js';
import { type DurableDeps, type DurableReader, durableOf } from './durable.js';
import type { Fleet, FleetRobot } from './fleet.js';
import type { Ingest } from './ingest.js';
import type { Presences } from './presence.js';
import { futureProblem } from './status-sample.js';
import { logPayload, logsTopic } from './telemetry-events.js';
import { formatCursor, parseTimeCursor } from './time-cursor.js';

/** Log lines of robots. */
export interface Logs {
  /** Stores one line. Resolves after the commit; the same `event_id` again changes nothing. */
  push(principal: Principal, input: PushLogInput): Promise<void>;
  /** Stores up to 1,000 lines and tells what became of each. */
  pushBatch(principal: Principal, robotId: string, items: readonly unknown[]): Promise<PushedBatch>;
  /** A page of a robot's log, newest first; shorter than `limit` when lines are large or hard to find. */
  page(
    principal: Principal,
    query: LogsInput,
  ): Promise<{ rows: LogRow[]; next_cursor: string | null }>;
  /** Every line from the reader's cursor on that `filter` takes. */
  live(
    principal: Principal,
    reader: DurableReader,
    filter: LogFilter,
  ): AsyncGenerator<Durable<LiveLog>>;
}

export interface LogsDeps {
  db: Db;
  fleet: Fleet;
  ingest: Ingest;
  presences: Presences;
  clock: Clock;
  streams: DurableDeps;
}

const Line = PushLogInput.omit({ robot_id: true });
type Line = Omit<PushLogInput, 'robot_id'>;
/** One line may be as large as 64 KiB, so they are read few at a time, and a page is cut by its length too. */
const READ_ROWS = 50;
const PAGE_CHARACTERS = 2_000_000;
/** A search that finds little goes on for this many reads of 1,000 lines, and then leaves the rest to its cursor. */
const MOST_READS = 1_000;

export function createLogs(deps: LogsDeps): Logs {
  const { db, fleet, ingest, presences, clock, streams } = deps;

  return {
    async push(principal, { robot_id, ...line }) {
      const robot = await fleet.owned(principal, robot_id);
      const now = clock.now();
      const future = futureOf(line, now);
      if (future) throw new DomainError('invalid_input', future);
      const [verdict] = await ingest.push([rowOf(robot, line, now)]);
      assertStored(verdict);
      presences.seen(robot, now);
    },

    async pushBatch(principal, robotId, items) {
      const robot = await fleet.owned(principal, robotId);
      const now = clock.now();
      const places: number[] = [];
      const rows: IngestRow[] = [];
      const results = items.map((item, index): BatchVerdict => {
        const line = readLine(item, now);
        if (typeof line === 'string') return { index, result: 'rejected', reason: line };
        places.push(index);
        rows.push(rowOf(robot, line, now));
        return { index, result: 'stored' };
      });
      const verdicts = rows.length > 0 ? await ingest.push(rows) : [];
      for (const [at, index] of places.entries())
        results[index] = batchVerdict(index, verdicts[at]);
      if (rows.length > 0) presences.seen(robot, now);
      return pushedBatch(robotId, results);
    },

    async page(principal, { limit, before, cursor, ...filter }) {
      await fleet.owned(principal, filter.robot_id);
      const query = { ...filter, account_id: principal.account_id };
      if (before !== undefined && cursor !== undefined) {
        throw new DomainError('invalid_input', 'before: cannot be given together with cursor');
      }
      let from = cursor === undefined ? undefined : parseTimeCursor(cursor);
      if (before !== undefined) {
        from = await findLogCursor(db, query, before);
        // Retention has deleted it, and with it what is older.
        if (!from) return { rows: [], next_cursor: null };
      }
      const rows: LogRow[] = [];
      let characters = 0;
      for (let reads = 0; reads < MOST_READS; reads += 1) {
        const wanted = Math.min(READ_ROWS, limit - rows.length);
        const page = await newestLogs(db, query, wanted, from);
        rows.push(...page.rows);
        for (const { message } of page.rows) characters += message.length;
        if (!page.next) return { rows, next_cursor: null };
        from = page.next;
        if (rows.length === limit || characters > PAGE_CHARACTERS) break;
      }
      return { rows, next_cursor: from ? formatCursor(from.timestamp, from.id) : null };
    },

    live(principal, reader, { topic, level }) {
      const { account_id } = principal;
      return durableOf<LiveLog>(streams, {
        principal,
        reader,
        topic: logsTopic(account_id),
        filter: (line) =>
          (topic === undefined || line.topic === topic) &&
          (level === undefined || line.level === level),
        sourceOf: (robot_ids) => ({
          end: () => lastLogId(db),
          horizon: () => horizonOf(db, { stream: 'logs', account_id, robot_ids }),
          async read(after, limit) {
            const query = { account_id, robot_ids, topic, level, after, limit };
            return (await logsAfter(db, query)).map(
              (row) =>
                new StreamEvent({
                  payload: logPayload(row),
                  version: row.id,
                  cursor: String(row.id),
                }),
            );
          },
        }),
      });
    },
  };
}

function rowOf({ row: { id, account_id } }: FleetRobot, line: Line, now: number): IngestRow {
  const { topic, message, level = null, event_id = null } = line;
  const timestamp = line.timestamp ?? now;
  return {
    kind: 'log',
    row: { robot_id: id, account_id, topic, message, level, timestamp, received_at: now, event_id },
  };
}

function futureOf({ timestamp }: Line, now: number): string | undefined {
  return typeof timestamp === 'number' ? futureProblem(timestamp, now) : undefined;
}

/** One item of a batch as a line, or the sentence that says why it is rejected. */
function readLine(item: unknown, now: number): Line | string {
  const { success, data, error } = Line.safeParse(item);
  if (success) return futureOf(data, now) ?? data;
  return error.issues
    .map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message))
    .join('; ');
}
