import type { Principal } from '../contract/access.js';
import type {
  AckCommandInput,
  Command,
  CommandEvent,
  CommandInput,
  ListCommandsInput,
  SendCommandInput,
  SentCommand,
} from '../contract/commands.js';
import { toInstant } from '../contract/common.js';
import type { Db } from '../db/client.js';
import {
  type CommandChanges,
  type CommandRow,
  changeCommandQuery,
  countOpenCommands,
  findCommand,
  listCommands,
  type NewCommand,
  newCommandQuery,
} from '../db/repositories/commands.js';
import { findRobot } from '../db/repositories/robots.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Durable } from '../realtime/durable.js';
import type { Actions } from './actions.js';
import { acknowledge, hasEnded } from './command-acks.js';
import { type CommandDelivery, createCommandDelivery } from './command-delivery.js';
import { createCommandLanes, type Reservation } from './command-lanes.js';
import { assertJsonSize, commandFor, delivered, hashOf } from './command-requests.js';
import { type CommandStops, createCommandStops } from './command-stops.js';
import { changeOf, commandOf, issuerOf } from './command-wire.js';
import { type DurableDeps, type DurableReader, journalOf } from './durable.js';
import type { Fleet } from './fleet.js';
import type { Journal } from './journal.js';
import type { Presences } from './presence.js';

/** What people and programs tell robots to do, what became of it, and how the robots get it. */
export interface Commands extends CommandDelivery, Omit<CommandStops, 'once'> {
  /**
   * Stores a command, and hands it to its robot at once when that is connected. The same idempotency key with the same
   * command again gives the command as it is now. A `stop` cancels whatever the robot has not finished.
   * @throws DomainError as `fleet.owned` and `actions.assertFits`; `conflict` while a stop holds, and for a key that
   * stands for another command; `rate_limited` when the robot has too many unfinished ones.
   */
  send(principal: Principal, input: SendCommandInput): Promise<SentCommand>;
  /** Newest first. @throws DomainError as `fleet.owned`; `invalid_input` for a cursor that is none. */
  list(
    principal: Principal,
    query: ListCommandsInput,
  ): Promise<{ commands: Command[]; next_cursor: string | null }>;
  /** @throws DomainError as `fleet.owned`, and `not_found`. */
  get(principal: Principal, input: CommandInput): Promise<Command>;
  /**
   * Ends a command that is not finished. What the robot was not handed it will not get; one that it has it is not told of
   * until it acknowledges: what makes it halt is a stop. Again is harmless.
   * @throws DomainError as get; `conflict` when it ended otherwise.
   */
  cancel(principal: Principal, input: CommandInput): Promise<Command>;
  /**
   * Takes what a robot says of its command. A step back or a repeat changes nothing, and gives the command as it is.
   * @throws DomainError as get; `conflict` when it has ended otherwise, by expiry too.
   */
  ack(principal: Principal, input: AckCommandInput): Promise<Command>;
  /** Every change of the account's commands and stops. */
  live(principal: Principal, reader: DurableReader): AsyncGenerator<Durable<CommandEvent>>;
  /** The robot was heard of, whatever it said. */
  heard(robotId: string): void;
  /** Ends every robot's connection and wait, for a server that stops. */
  disconnect(): void;
}

export interface CommandsDeps {
  db: Db;
  fleet: Fleet;
  journal: Journal;
  streams: DurableDeps;
  presences: Presences;
  actions: Actions;
  clock: Clock;
  /** Commands of one robot that may be unfinished. */
  openLimit: number;
  /** What may wait for one robot's connection. */
  capBytes: number;
}

/** How often a change is tried again because another came in between. */
const TRIES = 5;

export function createCommands(deps: CommandsDeps): Commands {
  const { db, fleet, journal, streams, presences, actions, clock, openLimit, capBytes } = deps;
  const lanes = createCommandLanes();
  const stops = createCommandStops({ fleet, journal, lanes, clock });
  const delivery = createCommandDelivery({
    ...{ db, fleet, journal, presences, lanes, clock, capBytes },
  });

  /** The command that this one repeats. @throws DomainError `conflict` when its key stands for another. */
  async function repeated(
    { account_id }: Principal,
    { robot_id, ...request }: SendCommandInput,
  ): Promise<SentCommand | undefined> {
    const { idempotency_key } = request;
    if (idempotency_key === undefined) return undefined;
    const row = await findCommand(db, { account_id, robot_id, idempotency_key });
    if (!row) return undefined;
    if (row.request_hash === hashOf(request)) {
      return { ...commandOf(row), message: 'Command already sent' };
    }
    throw new DomainError(
      'conflict',
      'This idempotency key stands for another command; a new command needs a new key',
    );
  }

  /** Stores the command, as delivered if its robot can take it now. Undefined when the database would not have it. */
  async function store(
    principal: Principal,
    { robot_id, ...request }: SendCommandInput,
  ): Promise<NewCommand | undefined> {
    let place: Reservation | undefined;
    let command: NewCommand | undefined;
    try {
      const results = await journal.writeBatch(() => {
        const waiting = commandFor(principal, robot_id, request, clock.now());
        place = lanes.reserve(robot_id, waiting.parameters.length);
        command = place ? delivered(waiting) : waiting;
        return { queries: [newCommandQuery(db, command, openLimit)], event: changeOf(command) };
      });
      if (!results || !command) return undefined;
      const [[{ seq }]] = results as [[{ seq: number }]];
      if (place) place.deliver({ ...command, seq });
      else lanes.notify(robot_id);
      place = undefined;
      return command;
    } finally {
      place?.release();
    }
  }

  /** Why the database would not have a command. */
  async function refusal(robotId: string): Promise<DomainError> {
    const robot = await findRobot(db, robotId);
    if (!robot || robot.deleted_at !== null) return new DomainError('not_found', 'Robot not found');
    if (robot.stopped_at !== null) {
      return new DomainError(
        'conflict',
        `Stopped by ${robot.stopped_by} at ${toInstant(robot.stopped_at)}; ` +
          `POST /api/v1/robots/${robotId}/stop/clear lets commands through again`,
      );
    }
    if ((await countOpenCommands(db, robotId)) >= openLimit) {
      return new DomainError(
        'rate_limited',
        `At most ${openLimit} commands of a robot may be unfinished; a stop cancels them`,
        { limit: 'commands_per_robot', retryAfterMs: 5_000 },
      );
    }
    return changedMeanwhile();
  }

  async function find(
    { account_id }: Principal,
    { robot_id, command_id }: CommandInput,
  ): Promise<CommandRow> {
    const row = await findCommand(db, { account_id, robot_id, id: command_id });
    if (!row) throw new DomainError('not_found', 'Command not found');
    return row;
  }

  /** Changes a command as `decide` says, until nothing came in between; null leaves it as it is. */
  async function change(
    principal: Principal,
    input: CommandInput,
    decide: (row: CommandRow, now: number) => CommandChanges | null,
  ): Promise<Command> {
    for (let n = 0; n < TRIES; n += 1) {
      const row = await find(principal, input);
      const changes = decide(row, clock.now());
      if (!changes) return commandOf(row);
      const changed = { ...row, ...changes } as CommandRow;
      const stored = await journal.writeBatch(() => ({
        queries: [changeCommandQuery(db, row, changes)],
        event: changeOf(changed),
      }));
      if (!stored) continue;
      if (changed.finished_at !== null) lanes.drop(row.robot_id, new Set([row.id]));
      return commandOf(changed);
    }
    throw changedMeanwhile();
  }

  return {
    ...stops,
    ...delivery,
    async send(principal, input) {
      const { robot_id, ...request } = input;
      const robot = await fleet.owned(principal, robot_id);
      const known = await repeated(principal, input);
      if (known) return known;
      await actions.assertFits(principal, robot.row.robot_type, input);
      assertJsonSize('parameters', JSON.stringify(input.parameters));
      const sent =
        input.action === 'stop'
          ? await stops.once(principal, robot_id, request)
          : await store(principal, input);
      if (sent) return { ...commandOf(sent), message: 'Command sent' };
      const repeat = await repeated(principal, input);
      if (repeat) return repeat;
      throw await refusal(robot_id);
    },
    async list(principal, { robot_id, status, limit, cursor }) {
      if (robot_id !== undefined) await fleet.owned(principal, robot_id);
      const { account_id } = principal;
      const rows = await listCommands(db, {
        ...{ account_id, limit, state: status, before: seqOf(cursor) },
        robot_id: robot_id ?? principal.robot_id ?? undefined,
      });
      const last = rows.at(-1);
      return {
        commands: rows.map(commandOf),
        next_cursor: last && rows.length === limit ? String(last.seq) : null,
      };
    },
    async get(principal, input) {
      await fleet.owned(principal, input.robot_id);
      return commandOf(await find(principal, input));
    },
    async cancel(principal, input) {
      await fleet.owned(principal, input.robot_id);
      return change(principal, input, ({ state, finished_at, message }, now) => {
        if (state === 'cancelled') return null;
        if (finished_at !== null) throw hasEnded(state, message);
        const had = state === 'queued' ? '' : ', after it was handed to the robot';
        const why = `Cancelled by ${issuerOf(principal)}${had}`;
        return { state: 'cancelled', finished_at: now, message: why };
      });
    },
    async ack(principal, input) {
      const robot = await fleet.owned(principal, input.robot_id);
      presences.seen(robot, clock.now());
      const { status, message, result } = input;
      const resultJson = result === undefined ? undefined : JSON.stringify(result);
      assertJsonSize('result', resultJson ?? '');
      const said = { status, message: message ?? undefined, result: resultJson };
      const command = await change(principal, input, (row, now) => acknowledge(row, said, now));
      if (command.status === 'expired') throw hasEnded(command.status, command.message);
      return command;
    },
    live: (principal, reader) => journalOf<CommandEvent>(streams, 'commands', principal, reader),
    heard(robotId) {
      const robot = fleet.get(robotId);
      if (robot) presences.seen(robot, clock.now());
    },
    disconnect: () => lanes.closeAll(),
  };
}

function seqOf(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return undefined;
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor);
  throw new DomainError('invalid_input', 'cursor: must be the next_cursor of the page before');
}

function changedMeanwhile(): DomainError {
  const message = 'This was changed by somebody else at the same moment; try again';
  return new DomainError('unavailable', message, { retryAfterMs: 1_000 });
}
