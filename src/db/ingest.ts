import type { Insertable } from 'kysely';
import type { RobotLogsTable, RobotMessagesTable, RobotStatusesTable } from './schema.js';

/** One row of telemetry on its way to the database. */
export type IngestRow =
  | { kind: 'status'; row: Required<Omit<Insertable<RobotStatusesTable>, 'id'>> }
  | { kind: 'log'; row: Required<Omit<Insertable<RobotLogsTable>, 'id'>> }
  | { kind: 'message'; row: Required<Omit<Insertable<RobotMessagesTable>, 'id'>> };

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
