import { sql, type TableMetadata } from 'kysely';
import { dialectOf, type Handle } from '../dialect.js';
import { isMigrated, MIGRATION_TABLE } from '../migrate.js';
import type { Database } from '../schema.js';
import { TABLES } from '../tables.js';

/** The tables of the KairoIO server with the columns that are taken over, parents before their children. */
export const KAIROIO_TABLES = {
  accounts: [
    ...['id', 'email', 'password_hash', 'certification_key', 'email_verified'],
    ...['created_at', 'updated_at', 'deleted_at'],
  ],
  robots: [
    ...['id', 'account_id', 'robot_type', 'robot_name', 'active_map_id'],
    ...['created_at', 'updated_at', 'deleted_at'],
  ],
  robot_statuses: ['id', 'robot_id', 'account_id', 'status_json', 'timestamp', 'deleted_at'],
  robot_logs: [
    ...['id', 'robot_id', 'account_id', 'topic', 'message', 'level', 'timestamp', 'deleted_at'],
  ],
  alerts: [
    ...['id', 'robot_id', 'account_id', 'alert_type', 'severity', 'message', 'metadata', 'status'],
    ...['acknowledged_at', 'acknowledged_by', 'resolved_at', 'created_at', 'deleted_at'],
  ],
  maps: [
    ...['id', 'account_id', 'robot_id', 'name', 'resolution', 'origin_x', 'origin_y'],
    ...['origin_yaw', 'negate', 'occupied_thresh', 'free_thresh', 'pgm_data', 'yaml_raw'],
    ...['created_at', 'deleted_at'],
  ],
  email_verification_codes: [
    ...['email', 'code', 'created_at', 'expires_at', 'verified', 'deleted_at'],
  ],
  alert_rules: [
    ...['id', 'account_id', 'robot_id', 'name', 'condition', 'severity', 'cooldown_minutes'],
    ...['enabled', 'created_at', 'updated_at', 'deleted_at'],
  ],
} as const satisfies Partial<Record<keyof Database, readonly string[]>>;

export type KairoioTable = keyof typeof KAIROIO_TABLES;

/** What cannot be done without: what has not these is somebody else's. */
const REQUIRED: Partial<Record<KairoioTable, readonly string[]>> = {
  accounts: ['id', 'email', 'password_hash', 'certification_key'],
  robots: ['id', 'account_id'],
};

export interface OriginalColumn {
  name: string;
  type: string;
}

export interface OriginalTable {
  name: KairoioTable;
  columns: OriginalColumn[];
}

/** A database that the KairoIO server made. */
export interface Original {
  tables: OriginalTable[];
  /** Tables that are not KairoIO's, under names that Fleetwire needs. */
  inTheWay: string[];
  /** Everything else; it stays where it is. */
  others: string[];
}

/**
 * What the database holds of the KairoIO server, if Fleetwire has never been at work in it.
 * @throws when tables are in the way that are not KairoIO's, naming them.
 */
export async function findOriginal(db: Handle): Promise<Original | undefined> {
  const tables = await tablesOf(db);
  const names = new Set(tables.map(({ name }) => name));
  if (names.has(MIGRATION_TABLE) && (await isMigrated(db))) return undefined;
  const known = (Object.keys(KAIROIO_TABLES) as KairoioTable[]).filter((name) => names.has(name));
  if (known.length === 0) return undefined;
  const originals = known.map((name) => {
    const found = tables.find((table) => table.name === name);
    const columns = (found?.columns ?? []).map((column) => ({
      name: column.name,
      type: column.dataType.toLowerCase(),
    }));
    return { name, columns };
  });
  assertKairoio(originals);
  const ours: readonly string[] = TABLES;
  const rest = [...names].filter(
    (name) => !(name in KAIROIO_TABLES) && !name.startsWith(MIGRATION_TABLE),
  );
  return {
    tables: originals,
    inTheWay: rest.filter((name) => ours.includes(name)).sort(),
    others: rest.filter((name) => !ours.includes(name)).sort(),
  };
}

/** The tables of the schema that Fleetwire works in. */
async function tablesOf(db: Handle): Promise<TableMetadata[]> {
  const tables = (await db.introspection.getTables()).filter(({ isView }) => !isView);
  if (dialectOf(db) === 'sqlite') return tables;
  const { rows } = await sql<{ name: string }>`select current_schema() as name`.execute(db);
  return tables.filter(({ schema }) => schema === rows[0]?.name);
}

function assertKairoio(tables: readonly OriginalTable[]): void {
  for (const [name, columns] of Object.entries(REQUIRED)) {
    const table = tables.find((candidate) => candidate.name === name);
    const missing = columns.filter(
      (column) => !table?.columns.some((candidate) => candidate.name === column),
    );
    if (missing.length === 0) continue;
    const found = tables.map((candidate) => candidate.name).join(', ');
    const lack = table ? `its table ${name} has no ${missing.join(', ')}` : `it has no ${name}`;
    throw new Error(
      `The database has tables of names that Fleetwire needs (${found}), and they are not KairoIO's: ${lack}. Give Fleetwire a database of its own`,
    );
  }
}
