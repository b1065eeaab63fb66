import {
  type Expression,
  type RawBuilder,
  type Selectable,
  type SelectQueryBuilder,
  sql,
} from 'kysely';
import { type Handle, instantText, jsonElements, jsonObject } from '../dialect.js';
import type { Database, RobotStatusesTable } from '../schema.js';

export type StatusRow = Selectable<RobotStatusesTable>;

/** A stretch of one robot's statuses by recorded time; both ends belong to it. */
export interface StatusRange {
  account_id: string;
  robot_id: string;
  start: number;
  end: number;
}

/** Where a page ended; the next one begins behind it. */
export interface StatusCursor {
  timestamp: number;
  id: number;
}

/** Rows as the text of JSON array elements (no brackets), made by the database. */
export interface JsonPage {
  count: number;
  elements: string;
  /** Null when nothing can follow. */
  next: StatusCursor | null;
}

/** The newest status of every robot. */
export async function latestStatuses(db: Handle): Promise<StatusRow[]> {
  return db
    .selectFrom('robots')
    .innerJoin('robot_statuses as s', (join) =>
      join.on('s.id', '=', (eb) =>
        eb
          .selectFrom('robot_statuses as newest')
          .select('newest.id')
          .whereRef('newest.robot_id', '=', 'robots.id')
          .orderBy('newest.timestamp', 'desc')
          .orderBy('newest.id', 'desc')
          .limit(1),
      ),
    )
    .selectAll('s')
    .execute();
}

/** The newest `limit` statuses in the range, newest first, before `cursor` when given. */
export async function newestStatuses(
  db: Handle,
  range: StatusRange,
  limit: number,
  cursor?: StatusCursor,
): Promise<StatusRow[]> {
  return pageOf(db, range, 'desc', cursor).selectAll().limit(limit).execute();
}

/** One page of the history as JSON elements, oldest first. */
export async function historyPage(
  db: Handle,
  range: StatusRange,
  limit: number,
  cursor?: StatusCursor,
): Promise<JsonPage> {
  const element = jsonObject(db, {
    id: sql.ref('id'),
    robot_id: sql.ref('robot_id'),
    account_id: sql.ref('account_id'),
    status_json: sql.ref('status_json'),
    timestamp: instantText(db, 'timestamp'),
    received_at: instantText(db, 'received_at'),
  });
  const rows = pageOf(db, range, 'asc', cursor)
    .select(['id', 'robot_id', 'account_id', 'status_json', 'timestamp', 'received_at'])
    .limit(limit);
  return jsonPage(db, rows, element, limit);
}

/** One page of positions as JSON elements, oldest first; statuses without any position are left out. */
export async function trajectoryPage(
  db: Handle,
  range: StatusRange,
  limit: number,
  cursor?: StatusCursor,
): Promise<JsonPage> {
  const rows = positioned(pageOf(db, range, 'asc', cursor))
    .select(['id', 'timestamp', 'x', 'y', 'lat', 'lng'])
    .limit(limit);
  return jsonPage(db, rows, pointJson(db), limit);
}

/** At most `maxPoints` positions, the first of each of as many equal slices of time. */
export async function sampledTrajectory(
  db: Handle,
  range: StatusRange,
  maxPoints: number,
): Promise<JsonPage> {
  const span = await positionedSpan(db, range);
  if (!span) return { count: 0, elements: '', next: null };
  const first = integer(span.first);
  // The last instant belongs to the last slice, hence the one millisecond more.
  const end = integer(span.last + 1);
  const slice = integer(Math.ceil((span.last + 1 - span.first) / maxPoints));
  // One lower and one upper bound, so that each slice is one seek.
  const point = positioned(ofRobot(db, range))
    .select('id')
    .where('timestamp', '>=', sql<number>`slices.since`)
    .where('timestamp', '<', sql<number>`slices.until`)
    .orderBy('timestamp')
    .orderBy('id')
    .limit(1);
  const rows = sql`(
    with recursive slices(since, until) as (
      select ${first}, ${first} + ${slice}
      union all
      select until, case when until + ${slice} > ${end} then ${end} else until + ${slice} end
      from slices where until < ${end}
    )
    select s.id, s.timestamp, s.x, s.y, s.lat, s.lng
    from slices join robot_statuses s on s.id = (${point}) order by s.timestamp, s.id)`;
  return jsonPage(db, rows, pointJson(db), maxPoints + 1);
}

/** better-sqlite3 binds every number as a real, and PostgreSQL must be told the type in arithmetic. */
function integer(value: number): RawBuilder<number> {
  return sql<number>`cast(${value} as bigint)`;
}

/** Whether the range holds more than `limit` positions; reads no more than that many. */
export async function hasMorePositions(
  db: Handle,
  range: StatusRange,
  limit: number,
): Promise<boolean> {
  const beyondLimit = await positioned(inRange(db, range))
    .select('id')
    .orderBy('timestamp')
    .orderBy('id')
    .offset(limit)
    .limit(1)
    .executeTakeFirst();
  return beyondLimit !== undefined;
}

async function positionedSpan(db: Handle, range: StatusRange) {
  const end = (direction: 'asc' | 'desc') =>
    positioned(inRange(db, range))
      .select('timestamp')
      .orderBy('timestamp', direction)
      .limit(1)
      .executeTakeFirst();
  const [first, last] = [await end('asc'), await end('desc')];
  return first && last ? { first: first.timestamp, last: last.timestamp } : undefined;
}

type StatusQuery<O> = SelectQueryBuilder<Database, 'robot_statuses', O>;

/** A page's rows in order. What the cursor makes redundant of the range is left out, or the index would not seek to it. */
function pageOf(
  db: Handle,
  range: StatusRange,
  order: 'asc' | 'desc',
  cursor: StatusCursor | undefined,
): StatusQuery<unknown> {
  const ordered = (query: StatusQuery<unknown>) =>
    query.orderBy('timestamp', order).orderBy('id', order);
  if (!cursor) return ordered(inRange(db, range));
  const { timestamp, id } = cursor;
  const [rest, beyond] =
    order === 'asc'
      ? [{ ...range, start: timestamp }, sql`>`]
      : [{ ...range, end: timestamp }, sql`<`];
  return ordered(
    inRange(db, rest).where(sql<boolean>`(timestamp, id) ${beyond} (${timestamp}, ${id})`),
  );
}

function inRange(db: Handle, range: StatusRange): StatusQuery<unknown> {
  return ofRobot(db, range)
    .where('timestamp', '>=', range.start)
    .where('timestamp', '<=', range.end);
}

function ofRobot(db: Handle, range: StatusRange): StatusQuery<unknown> {
  // The account is checked on the robot, so that the index alone answers.
  return db
    .selectFrom('robot_statuses')
    .where('robot_id', '=', (eb) =>
      eb
        .selectFrom('robots')
        .select('robots.id')
        .where('robots.id', '=', range.robot_id)
        .where('robots.account_id', '=', range.account_id),
    ) as StatusQuery<unknown>;
}

function positioned<O>(query: StatusQuery<O>): StatusQuery<O> {
  return query.where((eb) => eb.or([eb('x', 'is not', null), eb('lat', 'is not', null)]));
}

function pointJson(db: Handle): RawBuilder<unknown> {
  return jsonObject(db, {
    x: sql.ref('x'),
    y: sql.ref('y'),
    lat: sql.ref('lat'),
    lng: sql.ref('lng'),
    timestamp: instantText(db, 'timestamp'),
  });
}

async function jsonPage(
  db: Handle,
  rows: Expression<unknown>,
  element: RawBuilder<unknown>,
  limit: number,
): Promise<JsonPage> {
  const { rows: pages } = await sql<StatusCursor & { count: number; elements: string | null }>`
    with page as materialized ${rows}
    select count(*) as count, ${jsonElements(db, element)} as elements,
      max(timestamp) as timestamp,
      (select max(id) from page where timestamp = (select max(timestamp) from page)) as id
    from page`.execute(db);
  const page = pages[0];
  if (!page || page.elements === null) return { count: 0, elements: '', next: null };
  const { count, elements, timestamp, id } = page;
  return { count, elements, next: count < limit ? null : { timestamp, id } };
}
