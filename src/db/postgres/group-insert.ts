import type { Pool } from 'pg';
import { isDataError, isForeignKeyViolation } from '../errors.js';
import type { IngestRow, IngestVerdict, IngestWriter } from '../ingest.js';

interface Insert {
  name: string;
  text: string;
}

/**
 * One statement a table: the rows come as one JSON parameter, ids are drawn first so that each row's verdict can be
 * told, and the answer keeps the order of the rows.
 */
function insertFor(table: string, columns: Record<string, string>): Insert {
  const names = Object.keys(columns).join(', ');
  const typed = Object.entries(columns).map(([name, type]) => `${name} ${type}`);
  return {
    name: `ingest_${table}`,
    text: `
      with input as materialized (
        select nextval(pg_get_serial_sequence('${table}', 'id')) as id, r.*
        from json_to_recordset($1::json) as r(n integer, ${typed.join(', ')})
      ), inserted as (
        insert into ${table} (id, ${names}) select id, ${names} from input order by n
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
};
const REAL = 'double precision';
const INSERT: Record<IngestRow['kind'], Insert> = {
  status: insertFor('robot_statuses', {
    ...TELEMETRY,
    status_json: 'text',
    x: REAL,
    y: REAL,
    lat: REAL,
    lng: REAL,
    battery_level: REAL,
  }),
  log: insertFor('robot_logs', { ...TELEMETRY, topic: 'text', message: 'text', level: 'text' }),
};

/** Group commit on PostgreSQL: one statement for all rows of a table; one statement a row when one of them is bad. */
export function createPostgresIngest(pool: Pool): IngestWriter {
  async function insert(
    kind: IngestRow['kind'],
    rows: readonly IngestRow[],
  ): Promise<IngestVerdict[]> {
    const values = [JSON.stringify(rows.map(({ row }, n) => ({ n, ...row })))];
    const { rows: answers } = await pool.query<{ id: number | null }>({ ...INSERT[kind], values });
    return answers.map(({ id }) =>
      id === null ? { outcome: 'duplicate' } : { outcome: 'stored', id },
    );
  }

  async function insertAlone(row: IngestRow): Promise<IngestVerdict> {
    try {
      const [verdict] = await insert(row.kind, [row]);
      return verdict ?? { outcome: 'refused' };
    } catch (error) {
      if (isForeignKeyViolation(error)) return { outcome: 'gone' };
      if (isDataError(error)) return { outcome: 'refused' };
      throw error;
    }
  }

  async function insertAll(
    kind: IngestRow['kind'],
    rows: readonly IngestRow[],
  ): Promise<IngestVerdict[]> {
    try {
      return await insert(kind, rows);
    } catch (error) {
      if (!isDataError(error)) throw error;
    }
    const verdicts: IngestVerdict[] = [];
    for (const row of rows) verdicts.push(await insertAlone(row));
    return verdicts;
  }

  return {
    groupsAtOnce: 1,
    async write(rows) {
      const verdicts = new Array<IngestVerdict>(rows.length);
      for (const kind of ['status', 'log'] as const) {
        const positions = rows.flatMap((row, at) => (row.kind === kind ? [at] : []));
        if (positions.length === 0) continue;
        const ofKind = rows.filter((row) => row.kind === kind);
        const answers = await insertAll(kind, ofKind);
        for (const [at, position] of positions.entries()) {
          verdicts[position] = answers[at] ?? { outcome: 'refused' };
        }
      }
      return verdicts;
    },
  };
}
