import type { Principal } from '../contract/access.js';
import { type ClearedRobot, type StoppedRobot, TTL_LIMIT_SECONDS } from '../contract/commands.js';
import { toInstant } from '../contract/common.js';
import type { Handle } from '../db/client.js';
import { isForeignKeyViolation } from '../db/errors.js';
import { holdRobots, releaseRobots } from '../db/repositories/command-stops.js';
import {
  type CommandRow,
  cancelForStops,
  cancelUnacknowledged,
  insertCommands,
  type NewCommand,
} from '../db/repositories/commands.js';
import type { RobotRow } from '../db/repositories/robots.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { CommandLanes, Reservation } from './command-lanes.js';
import { type CommandRequest, commandFor, delivered } from './command-requests.js';
import { changeOf, eventOf, issuerOf } from './command-wire.js';
import type { Fleet } from './fleet.js';
import type { Journal, JournalEvent } from './journal.js';

/** The lane that overtakes: a stop cancels whatever the robot has not finished and goes out before all else. */
export interface CommandStops {
  /** A stop as a command like any other to its sender. Undefined when its idempotency key is taken; nothing is done then. */
  once(
    principal: Principal,
    robotId: string,
    request: CommandRequest,
  ): Promise<CommandRow | undefined>;
  /**
   * A stop that holds: until it is cleared no other command is taken. Repeating it sends it again; who stopped a robot
   * first stays named. @throws DomainError as `fleet.owned`.
   */
  hold(principal: Principal, robotId: string, reason: string | undefined): Promise<StoppedRobot>;
  /** The same for every robot of the caller, some at a time, in order of their ids. */
  holdFleet(principal: Principal, reason: string | undefined): Promise<StoppedRobot[]>;
  /**
   * Lets commands through again, and takes back a stop that the robot has not acknowledged.
   * @throws DomainError as `fleet.owned`; `forbidden` for the key of a robot.
   */
  clear(principal: Principal, robotId: string): Promise<ClearedRobot>;
  /** The same for every robot of the caller that a stop holds. */
  clearFleet(principal: Principal): Promise<ClearedRobot[]>;
}

export interface CommandStopsDeps {
  fleet: Fleet;
  journal: Journal;
  lanes: CommandLanes;
  clock: Clock;
}

/** Robots that are stopped or cleared in one transaction. */
const SLICE_ROBOTS = 50;

export function createCommandStops({
  fleet,
  journal,
  lanes,
  clock,
}: CommandStopsDeps): CommandStops {
  /**
   * Stores the stops that `make` gives, each in place of what its robot has not finished, and hands them to the robots
   * that are connected. `make` is asked when its turn has come. Undefined when an idempotency key is taken.
   */
  async function overtake<T extends { stops: NewCommand[] }>(
    make: (tx: Handle, record: (event: JournalEvent) => void, now: number) => Promise<T>,
  ): Promise<(Omit<T, 'stops'> & { stops: CommandRow[] }) | undefined> {
    const places = new Map<string, Reservation>();
    const keyTaken = new Error();
    function placed(stop: NewCommand): NewCommand {
      const place = lanes.reserve(stop.robot_id, stop.parameters.length, true);
      if (!place) return stop;
      places.set(stop.robot_id, place);
      return delivered(stop);
    }
    try {
      const { made, stops, cancelled } = await journal.write(async (tx, record) => {
        const now = clock.now();
        const made = await make(tx, record, now);
        if (made.stops.length === 0) return { made, stops: [], cancelled: [] };
        const stops = await insertCommands(tx, made.stops.map(placed));
        // Thrown, so that all is undone.
        if (!stops) throw keyTaken;
        const cancelled = await cancelForStops(tx, stops, now);
        for (const row of [...cancelled, ...stops]) record(changeOf(row));
        return { made, stops, cancelled };
      });
      takeBack(cancelled);
      for (const stop of stops) {
        const place = places.get(stop.robot_id);
        places.delete(stop.robot_id);
        if (place) place.deliver(stop);
        else lanes.notify(stop.robot_id);
      }
      return { ...made, stops };
    } catch (error) {
      if (error === keyTaken) return undefined;
      throw error;
    } finally {
      for (const place of places.values()) place.release();
    }
  }

  function takeBack(cancelled: readonly CommandRow[]): void {
    const ids = new Set(cancelled.map(({ id }) => id));
    for (const robotId of new Set(cancelled.map(({ robot_id }) => robot_id))) {
      lanes.drop(robotId, ids);
    }
  }

  async function hold(
    principal: Principal,
    robotIds: readonly string[],
    reason: string | undefined,
  ): Promise<StoppedRobot[]> {
    const by = issuerOf(principal);
    const parameters = reason === undefined ? {} : { reason };
    const request = { action: 'stop', parameters, ttl_seconds: TTL_LIMIT_SECONDS };
    const done = await overtake(async (tx, record, now) => {
      const stopped = { stopped_at: now, stopped_by: by };
      const robots = await holdRobots(tx, principal.account_id, robotIds, stopped);
      for (const robot of robots) record(stopEventOf(robot, by, now));
      return { robots, stops: robots.map(({ id }) => commandFor(principal, id, request, now)) };
    });
    const { robots = [], stops = [] } = done ?? {};
    const held = new Map(robots.map((robot) => [robot.id, robot]));
    for (const robot of robots) remember(robot);
    return stops.map(({ id, robot_id, state }) => {
      const { stopped_at, stopped_by } = latchOf(held.get(robot_id) as RobotRow);
      return {
        ...{ robot_id, command_id: id, status: state as StoppedRobot['status'] },
        ...{ stopped_at: stopped_at as string, stopped_by: stopped_by as string },
      };
    });
  }

  async function clear(principal: Principal, robotIds: readonly string[]): Promise<ClearedRobot[]> {
    if (principal.kind === 'robot_key') {
      throw new DomainError('forbidden', 'A stop is cleared by a person, not by a robot');
    }
    const by = issuerOf(principal);
    const { held, cancelled } = await journal.write(async (tx, record) => {
      const now = clock.now();
      const held = await releaseRobots(tx, principal.account_id, robotIds);
      if (held.length === 0) return { held, cancelled: [] };
      const heldIds = held.map(({ id }) => id);
      const end = { now, message: `The stop was cleared by ${by}` };
      const cancelled = await cancelUnacknowledged(tx, heldIds, end);
      for (const row of cancelled) record(changeOf(row));
      for (const robot of held) record(stopEventOf(released(robot), by, now));
      return { held, cancelled };
    });
    takeBack(cancelled);
    return held.map((robot) => {
      remember(released(robot));
      return { robot_id: robot.id, cleared: true, ...latchOf(robot), cleared_by: by };
    });
  }

  function remember({ id, stopped_at, stopped_by }: RobotRow): void {
    const robot = fleet.get(id);
    if (robot) robot.row = { ...robot.row, stopped_at, stopped_by };
  }

  async function inSlices<T extends { robot_id: string }>(
    principal: Principal,
    work: (robotIds: readonly string[]) => Promise<T[]>,
  ): Promise<T[]> {
    const robotIds = fleet.ownedBy(principal).map(({ row }) => row.id);
    const slices: Promise<T[]>[] = [];
    // All at once into the journal's line: behind each other, every slice would wait for what the last one set off.
    for (let from = 0; from < robotIds.length; from += SLICE_ROBOTS) {
      slices.push(work(robotIds.slice(from, from + SLICE_ROBOTS)));
    }
    const done = (await Promise.all(slices)).flat();
    return done.sort((a, b) => (a.robot_id < b.robot_id ? -1 : 1));
  }

  return {
    async once(principal, robotId, request) {
      try {
        const done = await overtake(async (_tx, _record, now) => ({
          stops: [commandFor(principal, robotId, request, now)],
        }));
        return done?.stops[0];
      } catch (error) {
        if (isForeignKeyViolation(error)) throw new DomainError('not_found', 'Robot not found');
        throw error;
      }
    },
    async hold(principal, robotId, reason) {
      await fleet.owned(principal, robotId);
      const [stopped] = await hold(principal, [robotId], reason);
      if (!stopped) throw new DomainError('not_found', 'Robot not found');
      return stopped;
    },
    holdFleet: (principal, reason) =>
      inSlices(principal, (robotIds) => hold(principal, robotIds, reason)),
    async clear(principal, robotId) {
      await fleet.owned(principal, robotId);
      const [cleared] = await clear(principal, [robotId]);
      const nothing = { cleared: false, stopped_at: null, stopped_by: null };
      return cleared ?? { robot_id: robotId, ...nothing, cleared_by: issuerOf(principal) };
    },
    clearFleet: (principal) => inSlices(principal, (robotIds) => clear(principal, robotIds)),
  };
}

function latchOf({ stopped_at, stopped_by }: RobotRow) {
  return { stopped_at: stopped_at === null ? null : toInstant(stopped_at), stopped_by };
}

function released(robot: RobotRow): RobotRow {
  return { ...robot, stopped_at: null, stopped_by: null };
}

function stopEventOf(robot: RobotRow, by: string, now: number): JournalEvent {
  return eventOf(robot.account_id, {
    ...{ type: 'stop', robot_id: robot.id, ...latchOf(robot), by, at: toInstant(now) },
  } as const);
}
