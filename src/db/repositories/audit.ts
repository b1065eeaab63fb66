import type { Insertable, Selectable } from 'kysely';
import type { Db, Handle } from '../dialect.js';
import type { AuditEntriesTable } from '../schema.js';

export type AuditRow = Selectable<AuditEntriesTable>;
export type NewAuditRow = Insertable<AuditEntriesTable>;

/** Which entries of an account; every condition that is given must hold. */
export interface AuditRange {
  account_id: string;
  action?: string | undefined;
  robot_id?: string | undefined;
  actor_id?: string | undefined;
  start?: number | undefined;
  end?: number | undefined;
}

/** Adds entries and returns their ids, in the same order. */
export async function insertAuditEntries(
  db: Handle,
  entries: readonly NewAuditRow[],
): Promise<number[]> {
  const rows = await db.insertInto('audit_entries').values(entries).returning('id').execute();
  // They are drawn in the order of the values, but may be returned in any.
  return rows.map(({ id }) => id).sort((a, b) => a - b);
}

/** Replaces the details of entries, all or none. */
export async function setAuditDetails(
  db: Db,
  changes: readonly { id: number; details: string | null }[],
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    for (const { id, details } of changes) {
      await tx.updateTable('audit_entries').set({ details }).where('id', '=', id).execute();
    }
  });
}

/** The newest `limit` entries in the range, newest first; those before the id `cursor` when it is given. */
export async function auditPage(
  db: Handle,
  range: AuditRange,
  limit: number,
  cursor?: number,
): Promise<AuditRow[]> {
  const { account_id, start, end, ...equal } = range;
  let query = db.selectFrom('audit_entries').selectAll().where('account_id', '=', account_id);
  for (const column of ['action', 'robot_id', 'actor_id'] as const) {
    const value = equal[column];
    if (value !== undefined) query = query.where(column, '=', value);
  }
  if (start !== undefined) query = query.where('created_at', '>=', start);
  if (end !== undefined) query = query.where('created_at', '<=', end);
  if (cursor !== undefined) query = query.where('id', '<', cursor);
  return query.orderBy('id', 'desc').limit(limit).execute();
}

/** Deletes up to `limit` entries made before `before`, of every account. Returns how many went. */
export async function deleteAuditBefore(
  db: Handle,
  before: number,
  limit: number,
): Promise<number> {
  const result = await db
    .deleteFrom('audit_entries')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('audit_entries')
        .select('id')
        .where('created_at', '<', before)
        .orderBy('created_at')
        .limit(limit),
    )
    .executeTakeFirst();
  return Number(result.numDeletedRows);
}
