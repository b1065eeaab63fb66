import type { Handle } from '../dialect.js';

/** Deletes up to `limit` of a robot's logs recorded before `before`. Returns how many went. */
export async function deleteLogsBefore(
  db: Handle,
  robotId: string,
  before: number,
  limit: number,
): Promise<number> {
  const result = await db
    .deleteFrom('robot_logs')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('robot_logs')
        .select('id')
        .where('robot_id', '=', robotId)
        .where('timestamp', '<', before)
        .orderBy('timestamp')
        .limit(limit),
    )
    .executeTakeFirst();
  return Number(result.numDeletedRows);
}
