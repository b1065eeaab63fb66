import { sql } from 'kysely';
import type { Handle } from '../dialect.js';

/** The streams that are kept in the database. */
export type StreamName = 'logs' | 'messages' | 'alerts' | 'commands';

/** Notes that events of this robot up to `cursor` may be gone. Call it in the transaction that deletes them. */
export async function raiseHorizon(
  tx: Handle,
  horizon: { stream: StreamName; account_id: string; robot_id: string; cursor: number },
): Promise<void> {
  await tx
    .insertInto('stream_horizons')
    .values(horizon)
    .onConflict((conflict) =>
      conflict
        .columns(['account_id', 'stream', 'robot_id'])
        .doUpdateSet({ cursor: sql`excluded.cursor` })
        .where('stream_horizons.cursor', '<', sql<number>`excluded.cursor`),
    )
    .execute();
}

/** Up to where events of an account's stream may be gone; of these robots alone if they are named. 0 when none is. */
export async function horizonOf(
  db: Handle,
  query: { stream: StreamName; account_id: string; robot_ids?: readonly string[] | undefined },
): Promise<number> {
  let select = db
    .selectFrom('stream_horizons')
    .select(({ fn }) => fn.max('cursor').as('cursor'))
    .where('account_id', '=', query.account_id)
    .where('stream', '=', query.stream);
  if (query.robot_ids) select = select.where('robot_id', 'in', [...query.robot_ids]);
  const row = await select.executeTakeFirst();
  return row?.cursor ?? 0;
}
