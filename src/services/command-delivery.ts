import type { Principal } from '../contract/access.js';
import type { CommandFrame } from '../contract/commands.js';
import type { Db } from '../db/client.js';
import { type CommandRow, claimCommands, commandsToDeliver } from '../db/repositories/commands.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { createPressureGate } from '../realtime/pressure.js';
import type { CommandLanes, Waiter } from './command-lanes.js';
import { changeOf, frameOf } from './command-wire.js';
import type { Fleet } from './fleet.js';
import type { Journal } from './journal.js';
import { endWithCredential, type LiveReader } from './live.js';
import type { Presences } from './presence.js';

/** How robots get their commands. */
export interface CommandDelivery {
  /**
   * The robot's commands for as long as it is connected: first those it was handed before and has not acknowledged, then
   * those that wait, then what comes. A newer connection ends an older one.
   * @throws DomainError as `fleet.owned`; `conflict` when another connection took over; `overloaded` when it takes
   * nothing; `unavailable` when the server stops; what ends its credential.
   */
  receive(
    principal: Principal,
    robotId: string,
    reader: Omit<LiveReader, 'robot_ids'>,
  ): AsyncGenerator<CommandFrame, void, undefined>;
  /**
   * The oldest command that the robot has not acknowledged, the same one again until it does; null when none comes
   * within `waitMs`. A newer call ends an older one, with null.
   */
  next(
    principal: Principal,
    robotId: string,
    waitMs: number,
    signal?: AbortSignal | undefined,
  ): Promise<CommandFrame | null>;
}

export interface CommandDeliveryDeps {
  db: Db;
  fleet: Fleet;
  journal: Journal;
  presences: Presences;
  lanes: CommandLanes;
  clock: Clock;
  capBytes: number;
}

const PAGE_COMMANDS = 20;
/** Robots stay connected for days and are many. */
const RECHECK_MS = 5_000;
/** How often the database is asked for what nobody has told of; see `Connection.compare`. */
const LOOK_MS = 5_000;

export function createCommandDelivery(deps: CommandDeliveryDeps): CommandDelivery {
  const { db, fleet, journal, presences, lanes, clock, capBytes } = deps;

  /** `except` is asked when the turn has come, because what is stored meanwhile may have been handed out already. */
  function claim(
    robot_id: string,
    except: () => readonly number[],
    limit: number,
  ): Promise<CommandRow[]> {
    return journal.write(async (tx, record) => {
      const claimed = { robot_id, except: except(), now: clock.now(), limit };
      const rows = await claimCommands(tx, claimed);
      for (const row of rows) record(changeOf(row));
      return rows;
    });
  }

  /** Waits until there may be a command, at most `limitMs`. @returns false when nobody waits any more. */
  async function rest(
    waiter: Waiter,
    limitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    if (signal?.aborted) return false;
    let end = (_goOn: boolean) => {};
    const ended = new Promise<boolean>((resolve) => {
      end = resolve;
    });
    const leave = () => end(false);
    const stopTimer = clock.every(limitMs, () => end(true));
    signal?.addEventListener('abort', leave);
    try {
      return await Promise.race([waiter.woken(), ended]);
    } finally {
      stopTimer();
      signal?.removeEventListener('abort', leave);
    }
  }

  return {
    async *receive(principal, robotId, reader) {
      const robot = await fleet.owned(principal, robotId);
      const connection = lanes.connect(robotId, {
        hasRoom: () => gate.isOpen(),
        capBytes,
        async claim(given) {
          const rows = await claim(robotId, given, PAGE_COMMANDS);
          return { rows, isLast: rows.length < PAGE_COMMANDS };
        },
      });
      const ended = endWithCredential(
        clock,
        {
          signal: reader.signal,
          authenticate: async () => fleet.owned(await reader.authenticate(), robotId),
        },
        RECHECK_MS,
      );
      const { signal } = ended;
      const { socket } = reader;
      const gate = createPressureGate({ socket, capBytes, clock, signal });
      const look = () => commandsToDeliver(db, { robot_id: robotId, now: clock.now() });
      // A database that is away for a moment is asked again.
      const stopLooking = clock.every(LOOK_MS, () => void connection.compare(look).catch(() => {}));
      const isOver = () => signal.aborted || socket?.destroyed || connection.ended !== undefined;
      signal.addEventListener('abort', connection.wake);
      try {
        presences.seen(robot, clock.now());
        while (!isOver()) {
          if (!gate.isOpen()) {
            await gate.wait();
            continue;
          }
          const row = connection.take();
          if (row) {
            if (row.expires_at > clock.now()) yield frameOf(row);
          } else if (!connection.isCaughtUp) {
            await connection.catchUp();
          } else {
            await connection.awake();
          }
        }
        if (connection.ended && !signal.aborted) throw connection.ended;
        if (signal.reason instanceof DomainError) throw signal.reason;
      } finally {
        signal.removeEventListener('abort', connection.wake);
        connection.close();
        stopLooking();
        ended.stop();
      }
    },

    async next(principal, robotId, waitMs, signal) {
      const robot = await fleet.owned(principal, robotId);
      presences.seen(robot, clock.now());
      const deadline = clock.now() + waitMs;
      const waiter = lanes.wait(robotId);
      try {
        for (;;) {
          const query = { robot_id: robotId, now: clock.now(), limit: 1 };
          const open = await commandsToDeliver(db, query);
          const [row] = open.length > 0 ? await claim(robotId, () => [], 1) : [];
          if (row) return frameOf(row);
          const leftMs = deadline - clock.now();
          if (leftMs <= 0 || !(await rest(waiter, Math.min(leftMs, LOOK_MS), signal))) return null;
        }
      } finally {
        waiter.close();
      }
    },
  };
}
