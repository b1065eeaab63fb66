import type { Pool } from 'pg';
import { isDataError, isForeignKeyViolation } from '../errors.js';
import type { IngestRow, IngestVerdict, IngestWriter } from '../ingest.js';
import { STREAM_LOCKS } from '../stream-locks.js';
import type { CopyType } from './copy-format.js';
import { copyRows } from './copy-rows.js';
import { createDrawnIds, nextId } from './drawn-ids.js';

interface Insert {
  name: string;
  text: string;
}

/**
 * One statement a table: the rows come as one JSON parameter, ids are drawn first so that each row's verdict can be
 * told, and the answer keeps the order of the rows. With a `lock`, no id is drawn before everybody else's have been
 * committed, so that a stream which has read up to an id has missed none below it. Everybody inserts in the same order, so
 * that two servers that get the same samples wait for each other and not in a circle.
 */
function insertFor(table: string, columns: Record<string, string>, lock?: number): Insert {
  const names = Object.keys(columns).join(', ');
  const typed = Object.entries(columns).map(([name, type]) => `${name} ${type}`);
  const records = `json_to_recordset($1::json) as r(n integer, ${typed.join(', ')})`;
  // The ids are drawn where the rows are joined with the lock: after it is held, and in the order of the rows.
  const [locked, rows] =
    lock === undefined
      ? ['', records]
      : [
          `locked as materialized (select pg_advisory_xact_lock(${lock})),`,
          `(select * from ${records} order by n) as r, locked`,
        ];
  return {
    name: `ingest_${table}`,
    text: `
      with ${locked} input as materialized (
        select ${nextId(table)} as id, r.*
        from ${rows}
      ), inserted as (
        insert into ${table} (id, ${names}) select id, ${names} from input
        order by robot_id, event_id, n
        on conflict (robot_id, event_id) where event_id is not null do nothing
        returning id
      )
      select inserted.id from input left join inserted using (id) order by n`,
  };
}

const TELEMETRY = {
  robot_id: 'text',
  account_id: 'text',
  timestamp: 'bigint',
  received_at: 'bigint',
  event_id: 'text',
} as const;
const REAL = 'double precision' as const;
const STATUS = {
  ...TELEMETRY,
  status_json: 'text',
  x: REAL,
  y: REAL,
  lat: REAL,
  lng: REAL,
  battery_level: REAL,
};
const STATUS_COLUMNS = Object.entries(STATUS) as [keyof typeof STATUS, CopyType][];
const INSERT: Record<IngestRow['kind'], Insert> = {
  status: insertFor('robot_statuses', STATUS),
  log: insertFor(
    'robot_logs',
    { ...TELEMETRY, topic: 'text', message: 'text', level: 'text' },
    STREAM_LOCKS.logs,
  ),
  message: insertFor(
    'robot_messages',
    { ...TELEMETRY, schema_id: 'text', payload: 'text' },
    STREAM_LOCKS.messages,
  ),
};

type Queryable = Pick<Pool, 'query'>;

const GROUPS_AT_ONCE = 2;

/**
 * Group commit on PostgreSQL: one statement for all rows of a table. A group with a bad row, or with rows of several
 * tables, is one transaction, so that it is stored or not as a whole but for the bad rows.
 * Groups of plain statuses are copied in side by side. All others wait for each other: streams need logs and messages in
 * their order, and a group that is inserted row by row may take repeated `event_id`s in another order than the rest.
 */
export function createPostgresIngest(pool: Pool): IngestWriter {
  const statusIds = createDrawnIds(pool, 'robot_statuses');
  let lastInTurn: Promise<unknown> = Promise.resolve();

  async function copyStatuses(rows: readonly PlainStatus[]): Promise<IngestVerdict[]> {
    const ids = await statusIds.take(rows.length);
    const values = rows.map(({ row }) => row);
    await copyRows(pool, 'robot_statuses', STATUS_COLUMNS, ids, values);
    return ids.map((id) => ({ outcome: 'stored', id }));
  }
  async function store(rows: readonly IngestRow[]): Promise<IngestVerdict[]> {
    try {
      if (rows.every(isPlainStatus)) return await copyStatuses(rows);
      const [kind, ...others] = new Set(rows.map((row) => row.kind));
      if (kind && others.length === 0) return await insert(pool, kind, rows);
      return await inTransaction(pool, (client) => insertByKind(client, rows));
    } catch (error) {
      if (!isDataError(error)) throw error;
      return inTransaction(pool, (client) => insertEach(client, rows));
    }
  }
  return {
    groupsAtOnce: GROUPS_AT_ONCE,
    async write(rows) {
      if (rows.every(isPlainStatus)) return store(rows);
      const stored = lastInTurn.then(() => store(rows));
      lastInTurn = stored.catch(() => {});
      return stored;
    },
  };
}

type PlainStatus = Extract<IngestRow, { kind: 'status' }>;

function isPlainStatus(row: IngestRow): row is PlainStatus {
  return row.kind === 'status' && row.row.event_id === null;
}

async function insertByKind(
  client: Queryable,
  rows: readonly IngestRow[],
): Promise<IngestVerdict[]> {
  const verdicts = new Array<IngestVerdict>(rows.length);
  for (const kind of ['status', 'log', 'message'] as const) {
    const places = [...rows.keys()].filter((at) => rows[at]?.kind === kind);
    const ofKind = rows.filter((row) => row.kind === kind);
    if (ofKind.length === 0) continue;
    const answers = await insert(client, kind, ofKind);
    for (const [at, place] of places.entries()) verdicts[place] = answers[at] as IngestVerdict;
  }
  return verdicts;
}

async function insert(
  queryable: Queryable,
  kind: IngestRow['kind'],
  rows: readonly IngestRow[],
): Promise<IngestVerdict[]> {
  const values = [JSON.stringify(rows.map(({ row }, n) => ({ n, ...row })))];
  const { rows: answers } = await queryable.query<{ id: number | null }>({
    ...INSERT[kind],
    values,
  });
  return answers.map(({ id }) =>
    id === null ? { outcome: 'duplicate' } : { outcome: 'stored', id },
  );
}

/** Row by row in order; a savepoint before each, because an error would end the whole transaction. */
async function insertEach(client: Queryable, rows: readonly IngestRow[]): Promise<IngestVerdict[]> {
  const verdicts: IngestVerdict[] = [];
  for (const row of rows) {
    await client.query('savepoint one_row');
    try {
      verdicts.push(...(await insert(client, row.kind, [row])));
    } catch (error) {
      if (!isDataError(error)) throw error;
      await client.query('rollback to savepoint one_row');
      verdicts.push({ outcome: isForeignKeyViolation(error) ? 'gone' : 'refused' });
    }
  }
  return verdicts;
}

async function inTransaction<T>(pool: Pool, work: (client: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    client.release();
    return result;
  } catch (error) {
    // Closing the connection undoes the transaction, in whatever state it is.
    client.release(true);
    throw error;
  }
}
