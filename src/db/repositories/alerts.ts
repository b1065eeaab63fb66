import type { Insertable } from 'kysely';
import type { Handle } from '../dialect.js';
import type { AlertsTable } from '../schema.js';

export async function insertAlert(db: Handle, alert: Insertable<AlertsTable>): Promise<void> {
  await db.insertInto('alerts').values(alert).execute();
}
