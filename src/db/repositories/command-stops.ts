import { sql } from 'kysely';
import type { Handle } from '../dialect.js';
import type { RobotRow } from './robots.js';

/** Makes a stop hold these robots of the account; one that holds already stays as it is. Returns those that are there. */
export async function holdRobots(
  tx: Handle,
  accountId: string,
  robotIds: readonly string[],
  stop: { stopped_at: number; stopped_by: string },
): Promise<RobotRow[]> {
  return tx
    .updateTable('robots')
    .set((eb) => ({
      stopped_by: eb
        .case()
        .when('stopped_at', 'is', null)
        .then(stop.stopped_by)
        .else(eb.ref('stopped_by'))
        .end(),
      stopped_at: eb.fn.coalesce('stopped_at', sql<number>`cast(${stop.stopped_at} as bigint)`),
    }))
    .where('id', 'in', [...robotIds])
    .where('account_id', '=', accountId)
    .where('deleted_at', 'is', null)
    .returningAll()
    .execute();
}

/** The robots of these that a stop holds, as they are before it is cleared. */
export async function releaseRobots(
  tx: Handle,
  accountId: string,
  robotIds: readonly string[],
): Promise<RobotRow[]> {
  const held = await tx
    .selectFrom('robots')
    .selectAll()
    .where('id', 'in', [...robotIds])
    .where('account_id', '=', accountId)
    .where('stopped_at', 'is not', null)
    .where('deleted_at', 'is', null)
    .execute();
  if (held.length === 0) return [];
  await tx
    .updateTable('robots')
    .set({ stopped_at: null, stopped_by: null })
    .where(
      'id',
      'in',
      held.map(({ id }) => id),
    )
    .execute();
  return held;
}
