import { type CompiledQuery, type Insertable, type Selectable, sql } from 'kysely';
import { type Db, type Handle, noneOf } from '../dialect.js';
import type { CommandsTable } from '../schema.js';

export type CommandRow = Selectable<CommandsTable>;
export type NewCommand = Omit<CommandRow, 'seq'>;
export type CommandChanges = Partial<Omit<Insertable<CommandsTable>, 'seq' | 'id' | 'robot_id'>>;

/** What the robot may still be handed. */
const UNACKNOWLEDGED = ['queued', 'delivered'];

/**
 * A statement for a batch that adds the command and returns its `seq`; or adds and returns nothing when its robot is
 * gone or held by a stop, has `openLimit` commands unfinished, or has one under the same idempotency key.
 */
export function newCommandQuery(db: Db, command: NewCommand, openLimit: number): CompiledQuery {
  const { robot_id, account_id } = command;
  const columns = Object.keys(command) as (keyof NewCommand)[];
  return db
    .insertInto('commands')
    .columns(columns)
    .expression((eb) =>
      eb
        .selectFrom('robots')
        .select(columns.map((column) => sql`${command[column]}`.as(column)))
        .where('robots.id', '=', robot_id)
        .where('robots.account_id', '=', account_id)
        .where('robots.deleted_at', 'is', null)
        .where('robots.stopped_at', 'is', null)
        .where((where) =>
          where(
            where
              .selectFrom('commands as open')
              .select(({ fn }) => fn.countAll().as('count'))
              .where('open.robot_id', '=', robot_id)
              .where('open.finished_at', 'is', null),
            '<',
            openLimit,
          ),
        ),
    )
    .onConflict((conflict) => conflict.columns(['robot_id', 'idempotency_key']).doNothing())
    .returning('seq')
    .compile();
}

/** A statement for a batch that changes the command if it is still as `row` says, and returns its `seq` then. */
export function changeCommandQuery(
  db: Db,
  row: Pick<CommandRow, 'id' | 'account_id' | 'state' | 'deliveries'>,
  changes: CommandChanges,
): CompiledQuery {
  return db
    .updateTable('commands')
    .set(changes)
    .where('id', '=', row.id)
    .where('account_id', '=', row.account_id)
    .where('state', '=', row.state)
    .where('deliveries', '=', row.deliveries)
    .returning('seq')
    .compile();
}

/** Adds the commands in their order. Undefined when an idempotency key is taken: undo the transaction then. */
export async function insertCommands(
  tx: Handle,
  commands: readonly NewCommand[],
): Promise<CommandRow[] | undefined> {
  const rows = await tx
    .insertInto('commands')
    .values([...commands])
    .onConflict((conflict) => conflict.columns(['robot_id', 'idempotency_key']).doNothing())
    .returningAll()
    .execute();
  return rows.length === commands.length ? rows.sort(bySeq) : undefined;
}

export async function findCommand(
  db: Handle,
  by: { account_id: string; robot_id: string } & ({ id: string } | { idempotency_key: string }),
): Promise<CommandRow | undefined> {
  const select = db
    .selectFrom('commands')
    .selectAll()
    .where('robot_id', '=', by.robot_id)
    .where('account_id', '=', by.account_id);
  const one =
    'id' in by
      ? select.where('id', '=', by.id)
      : select.where('idempotency_key', '=', by.idempotency_key);
  return one.executeTakeFirst();
}

/** The account's commands, or those of one robot, newest first. */
export async function listCommands(
  db: Handle,
  query: {
    account_id: string;
    robot_id?: string | undefined;
    state?: string | undefined;
    /** The `seq` where the page before ended. */
    before?: number | undefined;
    limit: number;
  },
): Promise<CommandRow[]> {
  let select = db
    .selectFrom('commands')
    .selectAll()
    .where('account_id', '=', query.account_id)
    .orderBy('seq', 'desc')
    .limit(query.limit);
  if (query.robot_id !== undefined) select = select.where('robot_id', '=', query.robot_id);
  if (query.state !== undefined) select = select.where('state', '=', query.state);
  if (query.before !== undefined) select = select.where('seq', '<', query.before);
  return select.execute();
}

export async function countOpenCommands(db: Handle, robotId: string): Promise<number> {
  const { count } = await db
    .selectFrom('commands')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('robot_id', '=', robotId)
    .where('finished_at', 'is', null)
    .executeTakeFirstOrThrow();
  return Number(count);
}

export interface ToDeliver {
  robot_id: string;
  now: number;
  limit?: number;
}

/** The `seq` of the oldest commands that the robot has not acknowledged, those that have expired left aside. */
export async function commandsToDeliver(db: Handle, query: ToDeliver): Promise<number[]> {
  return (await toDeliver(db, query).execute()).map(({ seq }) => seq);
}

export interface Claim extends ToDeliver {
  /** Those of them that it has at hand. */
  except: readonly number[];
}

/** Marks such commands as handed out once more. Returns them in their order. */
export async function claimCommands(tx: Handle, claim: Claim): Promise<CommandRow[]> {
  const rows = await tx
    .updateTable('commands')
    .set((eb) => ({
      state: 'delivered',
      deliveries: eb('deliveries', '+', eb.lit(1)),
      delivered_at: eb.fn.coalesce('delivered_at', sql<number>`cast(${claim.now} as bigint)`),
    }))
    .where('seq', 'in', toDeliver(tx, claim).where(noneOf(tx, 'seq', claim.except)))
    // Once more, because PostgreSQL judges a row anew by these alone when it had to wait for it.
    .where('state', 'in', UNACKNOWLEDGED)
    .returningAll()
    .execute();
  return rows.sort(bySeq);
}

function toDeliver(db: Handle, { robot_id, now, limit }: ToDeliver) {
  const select = db
    .selectFrom('commands')
    .select('seq')
    .where('robot_id', '=', robot_id)
    .where('finished_at', 'is', null)
    .where('state', 'in', UNACKNOWLEDGED)
    .where('expires_at', '>', now)
    .orderBy('seq');
  return limit === undefined ? select : select.limit(limit);
}

/** Ends what the robots of these stops, one a robot, have not finished beside them. Returns it in order. */
export async function cancelForStops(
  tx: Handle,
  stops: readonly { id: string; robot_id: string }[],
  now: number,
): Promise<CommandRow[]> {
  const stopIds = stops.map(({ id }) => id);
  const rows = await tx
    .updateTable('commands')
    .set({
      state: 'cancelled',
      finished_at: now,
      message: sql<string>`${'Cancelled by the stop '} || (
        select stop.id from commands as stop
        where stop.robot_id = commands.robot_id and stop.id in (${sql.join(stopIds)}))`,
    })
    .where(
      'robot_id',
      'in',
      stops.map(({ robot_id }) => robot_id),
    )
    .where('finished_at', 'is', null)
    .where('id', 'not in', stopIds)
    .returningAll()
    .execute();
  return rows.sort(bySeq);
}

/** Ends what these robots have not acknowledged. Returns it in order. */
export async function cancelUnacknowledged(
  tx: Handle,
  robotIds: readonly string[],
  end: { now: number; message: string },
): Promise<CommandRow[]> {
  const rows = await tx
    .updateTable('commands')
    .set({ state: 'cancelled', finished_at: end.now, message: end.message })
    .where('robot_id', 'in', [...robotIds])
    .where('finished_at', 'is', null)
    .where('state', 'in', UNACKNOWLEDGED)
    .returningAll()
    .execute();
  return rows.sort(bySeq);
}

/** Whether a command of any account has expired and is not marked so. */
export async function hasExpiredCommands(db: Handle, now: number): Promise<boolean> {
  return (await expired(db, now, 1).executeTakeFirst()) !== undefined;
}

/** Marks up to `limit` expired commands of whichever account. Returns them in order. */
export async function expireCommands(
  tx: Handle,
  now: number,
  limit: number,
): Promise<CommandRow[]> {
  const rows = await tx
    .updateTable('commands')
    .set((eb) => ({
      finished_at: now,
      message: eb
        .case()
        .when('state', '=', 'queued')
        .then('The robot did not fetch it in time')
        .else('The robot did not acknowledge it in time')
        .end(),
      state: 'expired',
    }))
    .where('seq', 'in', expired(tx, now, limit))
    .where('state', 'in', UNACKNOWLEDGED)
    .returningAll()
    .execute();
  return rows.sort(bySeq);
}

function expired(db: Handle, now: number, limit: number) {
  return db
    .selectFrom('commands')
    .select('seq')
    .where('finished_at', 'is', null)
    .where('state', 'in', UNACKNOWLEDGED)
    .where('expires_at', '<=', now)
    .limit(limit);
}

function bySeq(a: CommandRow, b: CommandRow): number {
  return a.seq - b.seq;
}
