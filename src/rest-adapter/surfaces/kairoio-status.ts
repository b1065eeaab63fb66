import type { Principal } from '../../contract/access.js';
import { toInstant } from '../../contract/common.js';
import { DomainError } from '../../lib/errors.js';
import type { Context } from '../../routers/context.js';
import type { LatestSample } from '../../services/fleet.js';
import { historyEntry } from '../../services/status-history.js';
import { type JsonStream, JsonText } from '../define.js';

type StatusHistory = Context['services']['history'];

/** The newest status with the robot's object to the letter: parsing it would round integers beyond 2^53. */
export function latestText(robotId: string, latest: LatestSample | null): JsonText {
  if (!latest) return new JsonText('{"message":"No status available","status":null}');
  const rest = JSON.stringify({
    timestamp: toInstant(latest.timestamp),
    received_at: toInstant(latest.received_at),
  });
  return new JsonText(
    `{"robot_id":${JSON.stringify(robotId)},"status":${latest.status_json},${rest.slice(1)}`,
  );
}

/** A whole range, oldest first; or, without one, the newest `limit` statuses, newest first. */
export async function readHistory(
  history: StatusHistory,
  principal: Principal,
  robotId: string,
  query: { start?: number | undefined; end?: number | undefined; limit?: number | undefined },
): Promise<JsonStream> {
  const { start, end, limit } = query;
  const head = { robot_id: robotId };
  if (limit !== undefined) {
    return { head, list: 'history', pages: newest(history, principal, robotId, query, limit) };
  }
  if (start === undefined || end === undefined) {
    throw new DomainError('invalid_input', 'robotId, start, and end are required');
  }
  return {
    head,
    list: 'history',
    pages: await history.historyJson(principal, robotId, { start, end }),
  };
}

/** One status may be as large as a request, so after the first page its length counts too. */
const FIRST_PAGE_ROWS = 5;
const PAGE_ROWS = 100;
const PAGE_CHARACTERS = 1_000_000;

async function* newest(
  history: StatusHistory,
  principal: Principal,
  robotId: string,
  { start, end }: { start?: number | undefined; end?: number | undefined },
  limit: number,
) {
  let cursor: string | null | undefined;
  let pageRows = FIRST_PAGE_ROWS;
  for (let left = limit; left > 0 && cursor !== null; ) {
    const query = { start, end, cursor, limit: Math.min(left, pageRows) };
    const { rows, next_cursor } = await history.page(principal, robotId, query);
    const elements = rows.map((entry) => JSON.stringify(historyEntry(entry))).join(',');
    yield { count: rows.length, elements };
    cursor = next_cursor;
    left -= rows.length;
    const fitting = Math.floor((PAGE_CHARACTERS * rows.length) / Math.max(1, elements.length));
    pageRows = Math.min(PAGE_ROWS, Math.max(1, fitting));
  }
}
