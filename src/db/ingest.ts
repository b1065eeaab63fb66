import type { Insertable } from 'kysely';
import type { RobotLogsTable, RobotMessagesTable, RobotStatusesTable } from './schema.js';

/** One row of telemetry on its way to the database. */
export type IngestRow =
  | { kind: 'status'; row: Required<Omit<Insertable<RobotStatusesTable>, 'id'>> }
  | { kind: 'log'; row: Required<Omit<Insertable<RobotLogsTable>, 'id'>> }
  | { kind: 'message'; row: Required<Omit<Insertable<RobotMessagesTable>, 'id'>> };

/** The columns of each kind of row, in the order in which their values are handed over. */
export const INGEST_COLUMNS = {
  status: [
    'robot_id',
    'account_id',
    'status_json',
    'timestamp',
    'received_at',
    'event_id',
    'x',
    'y',
    'lat',
    'lng',
    'battery_level',
  ],
  log: [
    'robot_id',
    'account_id',
    'topic',
    'message',
    'level',
    'timestamp',
    'received_at',
    'event_id',
  ],
  message: [
    'robot_id',
    'account_id',
    'schema_id',
    'payload',
    'timestamp',
    'received_at',
    'event_id',
  ],
} as const satisfies { [K in IngestRow['kind']]: readonly (keyof RowOf<K>)[] };

type RowOf<K> = Extract<IngestRow, { kind: K }>['row'];

/** What became of it: `gone` when its robot no longer exists, `refused` when the database would not have the row. */
export type IngestVerdict =
  | { outcome: 'stored'; id: number }
  | { outcome: 'duplicate' }
  | { outcome: 'gone' }
  | { outcome: 'refused' };

/** Commits groups of rows. */
export interface IngestWriter {
  /** How many groups may be under way. Logs and messages are committed in the order they were written all the same. */
  readonly groupsAtOnce: number;
  /**
   * Commits all rows in one go and answers after the commit, one verdict a row, in order. A bad row fails alone.
   * @throws when the database itself fails; then none of the rows is stored.
   */
  write(rows: readonly IngestRow[]): Promise<IngestVerdict[]>;
}
