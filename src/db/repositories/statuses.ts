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

/** Rows that are looked through at a time for what may not be there. */
const SEARCH_PAGE = 10_000;

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

/**
 * The positions among the next `limit` statuses as JSON elements, oldest first. There may be none: a robot that sends no
 * positions must not keep the database busy for the whole of its range.
 */
export async function trajectoryPage(
  db: Handle,
  range: StatusRange,
  limit: number,
  cursor?: StatusCursor,
): Promise<JsonPage> {
  const rows = pageOf(db, range, 'asc', cursor)
    .select(['id', 'timestamp', 'x', 'y', 'lat', 'lng'])
    .limit(limit);
  return jsonPage(db, rows, pointJson(db), limit, POSITIONED);
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

/** Whether the range holds more than `limit` positions; reads no more than that many, and a page at a time. */
export async function hasMorePositions(
  db: Handle,
  range: StatusRange,
  limit: number,
): Promise<boolean> {
  let positions = 0;
  let rows = limit + 1;
  let cursor: StatusCursor | undefined;
  for (;;) {
    const page = pageOf(db, range, 'asc', cursor).select(['id', 'timestamp', 'x', 'lat']);
    const { count, next } = await readPage<object>(db, page.limit(rows), rows, POSITIONED);
    positions += count;
    if (positions > limit) return true;
    if (!next) return false;
    cursor = next;
    rows = SEARCH_PAGE;
  }
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

const POSITIONED = sql<boolean>`(x is not null or lat is not null)`;

function positioned<O>(query: StatusQuery<O>): StatusQuery<O> {
  return query.where(POSITIONED);
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

/** A page as JSON elements, of those rows that are `shown`. */
async function jsonPage(
  db: Handle,
  rows: Expression<unknown>,
  element: RawBuilder<unknown>,
  limit: number,
  shown = sql<boolean>`true`,
): Promise<JsonPage> {
  const elements = sql`${jsonElements(db, element)} filter (where ${shown}) as elements`;
  const page = await readPage<{ elements: string | null }>(db, rows, limit, shown, elements);
  return { count: page.count, elements: page.elements ?? '', next: page.next };
}

/** What is selected of a page of at most `limit` rows, how many of them are `shown`, and where it ends. */
async function readPage<Selected>(
  db: Handle,
  rows: Expression<unknown>,
  limit: number,
  shown: RawBuilder<boolean>,
  selected = sql`null`,
): Promise<Selected & Pick<JsonPage, 'count' | 'next'>> {
  const { rows: pages } = await sql<Selected & StatusCursor & { count: number; read: number }>`
    with page as materialized ${rows}
    select count(*) as read, count(*) filter (where ${shown}) as count, ${selected},
      max(timestamp) as timestamp,
      (select max(id) from page where timestamp = (select max(timestamp) from page)) as id
    from page`.execute(db);
  const [page] = pages;
  if (!page) throw new Error('An aggregate without a row');
  const { timestamp, id, read } = page;
  return { ...page, next: read < limit ? null : { timestamp, id } };
}
