import type { Insertable, Selectable, Updateable } from 'kysely';
import type { Handle } from '../dialect.js';
import type { RobotsTable } from '../schema.js';

export type RobotRow = Selectable<RobotsTable>;

/** Adds the robot unless the id is taken (by anybody). Returns whether it was added. */
export async function insertRobot(db: Handle, robot: Insertable<RobotsTable>): Promise<boolean> {
  const result = await db
    .insertInto('robots')
    .values(robot)
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows !== 0n;
}

/** The robot by its id, whoever owns it, one that is being deleted included. */
export async function findRobot(db: Handle, robotId: string): Promise<RobotRow | undefined> {
  return db.selectFrom('robots').selectAll().where('id', '=', robotId).executeTakeFirst();
}

/** Every robot there is, those being deleted included. */
export async function allRobots(db: Handle): Promise<RobotRow[]> {
  return db.selectFrom('robots').selectAll().orderBy('id').execute();
}

export async function updateRobot(
  db: Handle,
  accountId: string,
  robotId: string,
  changes: Updateable<RobotsTable>,
): Promise<RobotRow | undefined> {
  return db
    .updateTable('robots')
    .set(changes)
    .where('id', '=', robotId)
    .where('account_id', '=', accountId)
    .where('deleted_at', 'is', null)
    .returningAll()
    .executeTakeFirst();
}

/** Removes the robot's row and what little the slices left of its data. */
export async function deleteRobot(db: Handle, robotId: string): Promise<void> {
  await db.deleteFrom('robots').where('id', '=', robotId).execute();
}
