import { type Selectable, type SelectQueryBuilder, sql } from 'kysely';
import { containsText, type Handle } from '../dialect.js';
import type { Database, RobotLogsTable } from '../schema.js';

export type LogRow = Selectable<RobotLogsTable>;

/** Which lines of one robot, by recorded time; both ends belong to the stretch. */
export interface LogQuery {
  account_id: string;
  robot_id: string;
  topic?: string | undefined;
  level?: string | undefined;
  /** Text that the message holds, in upper or lower case. */
  q?: string | undefined;
  start?: number | undefined;
  end?: number | undefined;
}

/** A place in a robot's log. */
export interface LogCursor {
  timestamp: number;
  id: number;
}

/** A search looks at this many lines at a time, so that other readers get their turn. */
const WINDOW_ROWS = 1_000;

/**
 * Up to `limit` lines, newest first, before `cursor` when given. `next` is where to go on, and null when nothing can
 * follow; a query that leaves lines out may find fewer, or none, and have a `next` all the same.
 */
export async function newestLogs(
  db: Handle,
  query: LogQuery,
  limit: number,
  cursor?: LogCursor,
): Promise<{ rows: LogRow[]; next: LogCursor | null }> {
  const { topic, level, q } = query;
  const leavesOut = topic !== undefined || level !== undefined || q !== undefined;
  let select = newestFirst(db, query, cursor);
  let windowEnd: LogCursor | undefined;
  if (leavesOut) {
    windowEnd = await newestFirst(db, query, cursor)
      .select(['timestamp', 'id'])
      .offset(WINDOW_ROWS - 1)
      .limit(1)
      .executeTakeFirst();
    if (windowEnd) {
      const { timestamp, id } = windowEnd;
      select = select.where(sql<boolean>`(timestamp, id) >= (${timestamp}, ${id})`);
    }
    if (topic !== undefined) select = select.where('topic', '=', topic);
    if (level !== undefined) select = select.where('level', '=', level);
    if (q !== undefined) select = select.where(containsText(db, 'message', q));
  }
  const rows = await select.selectAll().limit(limit).execute();
  return { rows, next: rows.length === limit ? (rows.at(-1) ?? null) : (windowEnd ?? null) };
}

/** Where a line stands in its robot's log; undefined when the robot has no such line. */
export async function findLogCursor(
  db: Handle,
  query: Pick<LogQuery, 'account_id' | 'robot_id'>,
  id: number,
): Promise<LogCursor | undefined> {
  return ofRobot(db, query).select(['timestamp', 'id']).where('id', '=', id).executeTakeFirst();
}

/** An account's lines after the id `after`, oldest first; those of these robots, topic or level alone if they are named. */
export async function logsAfter(
  db: Handle,
  query: Pick<LogQuery, 'account_id' | 'topic' | 'level'> & {
    robot_ids?: readonly string[] | undefined;
    after: number;
    limit: number;
  },
): Promise<LogRow[]> {
  const { account_id, robot_ids, topic, level, after, limit } = query;
  let select = db
    .selectFrom('robot_logs')
    .selectAll()
    .where('account_id', '=', account_id)
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit);
  if (robot_ids) select = select.where('robot_id', 'in', [...robot_ids]);
  if (topic !== undefined) select = select.where('topic', '=', topic);
  if (level !== undefined) select = select.where('level', '=', level);
  return select.execute();
}

/** The newest id of any line; 0 when there is none. */
export async function lastLogId(db: Handle): Promise<number> {
  const row = await db
    .selectFrom('robot_logs')
    .select('id')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.id ?? 0;
}

type LogSelect = SelectQueryBuilder<Database, 'robot_logs', unknown>;

function newestFirst(db: Handle, query: LogQuery, cursor: LogCursor | undefined): LogSelect {
  // The first bound that the index seeks to; the cursor's own comparison is one it cannot.
  const end = Math.min(
    query.end ?? Number.MAX_SAFE_INTEGER,
    cursor?.timestamp ?? Number.MAX_SAFE_INTEGER,
  );
  let select = ofRobot(db, query)
    .where('timestamp', '>=', query.start ?? Number.MIN_SAFE_INTEGER)
    .where('timestamp', '<=', end)
    .orderBy('timestamp', 'desc')
    .orderBy('id', 'desc');
  if (cursor) {
    select = select.where(sql<boolean>`(timestamp, id) < (${cursor.timestamp}, ${cursor.id})`);
  }
  return select;
}

function ofRobot(db: Handle, { account_id, robot_id }: Pick<LogQuery, 'account_id' | 'robot_id'>) {
  // The account is checked on the robot, so that the index alone answers.
  return db
    .selectFrom('robot_logs')
    .where('robot_id', '=', (eb) =>
      eb
        .selectFrom('robots')
        .select('robots.id')
        .where('robots.id', '=', robot_id)
        .where('robots.account_id', '=', account_id),
    ) as LogSelect;
}
