import { beforeEach, expect, it } from 'vitest';
import {
  allRobots,
  deleteRobot,
  findRobot,
  insertRobot,
  updateRobot,
} from '../../src/db/repositories/robots.js';
import { describeEachDatabase } from '../support/databases.js';
import {
  logRow,
  NOON_MS,
  robotRow,
  statusRow,
  useFleetDatabase,
} from '../support/fleet-database.js';

describeEachDatabase('the repository of robots', (kind) => {
  const fleet = useFleetDatabase(kind);
  const db = () => fleet().handle.db;

  beforeEach(async () => {
    await db().deleteFrom('robots').execute();
    await db().deleteFrom('accounts').execute();
    await fleet().addAccount('owner');
    await fleet().addAccount('other');
  });

  it('gives back every column as it was put in', async () => {
    const full = {
      ...robotRow('owner', 'r/ü "1"'),
      robot_name: "Robby'; drop table robots; --",
      presence_timeout_ms: 86_400_000,
    };
    expect(await insertRobot(db(), full)).toBe(true);
    expect(await findRobot(db(), full.id)).toEqual(full);
    expect(await findRobot(db(), 'unknown')).toBeUndefined();
  });

  it('adds an id once, whoever asks, and leaves the first as it is', async () => {
    const answers = await Promise.all(
      ['owner', 'other', 'owner', 'other'].map((account) =>
        insertRobot(db(), robotRow(account, 'robot')),
      ),
    );
    expect(answers.filter(Boolean)).toHaveLength(1);
    const winner = ['owner', 'other', 'owner', 'other'][answers.indexOf(true)]!;
    expect(await findRobot(db(), 'robot')).toEqual(robotRow(winner, 'robot'));
  });

  it('refuses a robot of no account', async () => {
    await expect(insertRobot(db(), robotRow('nobody', 'robot'))).rejects.toThrow(/foreign key/i);
  });

  it('lists all by id, those being deleted included', async () => {
    for (const id of ['b', 'a', 'c']) await fleet().addRobot('owner', id);
    await updateRobot(db(), 'owner', 'b', { deleted_at: NOON_MS });
    expect((await allRobots(db())).map(({ id, deleted_at }) => [id, deleted_at])).toEqual([
      ['a', null],
      ['b', NOON_MS],
      ['c', null],
    ]);
  });

  it('changes what is given, for the owner alone', async () => {
    await fleet().addRobot('owner', 'robot');
    const before = await findRobot(db(), 'robot');
    expect(await updateRobot(db(), 'other', 'robot', { robot_name: 'stolen' })).toBeUndefined();
    expect(await findRobot(db(), 'robot')).toEqual(before);
    const changes = { robot_name: 'Robby', updated_at: NOON_MS + 1 };
    const after = await updateRobot(db(), 'owner', 'robot', changes);
    expect(after).toEqual({ ...before, ...changes });
    expect(await findRobot(db(), 'robot')).toEqual(after);
    expect(await updateRobot(db(), 'owner', 'unknown', changes)).toBeUndefined();
  });

  it('lets nobody change a robot that is being deleted, and keeps its id taken', async () => {
    await fleet().addRobot('owner', 'robot');
    const tombstone = await updateRobot(db(), 'owner', 'robot', { deleted_at: NOON_MS });
    expect(tombstone?.deleted_at).toBe(NOON_MS);
    expect(await updateRobot(db(), 'owner', 'robot', { deleted_at: null })).toBeUndefined();
    expect(await insertRobot(db(), robotRow('owner', 'robot'))).toBe(false);
    expect((await findRobot(db(), 'robot'))?.deleted_at).toBe(NOON_MS);
  });

  it('takes everything of a robot with its row, and nothing of others', async () => {
    for (const id of ['robot', 'twin']) {
      await fleet().addRobot('owner', id);
      await fleet().handle.ingest.write([statusRow({ robot_id: id }), logRow({ robot_id: id })]);
      await db()
        .insertInto('alerts')
        .values({
          ...{ id: `alert of ${id}`, robot_id: id, account_id: 'owner', alert_type: 'test' },
          ...{ severity: 'info', message: '', metadata: null, status: 'active' },
          ...{ acknowledged_at: null, acknowledged_by: null, resolved_at: null },
          created_at: NOON_MS,
          last_seen_at: NOON_MS,
        })
        .execute();
    }
    await deleteRobot(db(), 'robot');
    for (const table of ['robot_statuses', 'robot_logs', 'alerts'] as const) {
      const rows = await db().selectFrom(table).select('robot_id').execute();
      expect(rows).toEqual([{ robot_id: 'twin' }]);
    }
    expect(await insertRobot(db(), robotRow('other', 'robot'))).toBe(true);
  });
});
