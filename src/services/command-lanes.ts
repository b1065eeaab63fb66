import type { CommandRow } from '../db/repositories/commands.js';
import { DomainError, stopping } from '../lib/errors.js';

/**
 * A robot's connection for commands, as the rest of the server sees it: what was stored as delivered and waits to be
 * written. It is caught up while the database holds nothing for the robot that it has not been given.
 */
export interface Connection {
  /** The next command, which leaves the queue. */
  take(): CommandRow | undefined;
  readonly isCaughtUp: boolean;
  /** Fills the queue from the database. */
  catchUp(): Promise<void>;
  /**
   * Compares with what the database says is unacknowledged, which may hold what nobody told of: another server stored it,
   * or one that was killed and whose last commit took its time.
   */
  compare(read: () => Promise<readonly number[]>): Promise<void>;
  /** Resolves when there is something to do: a command, or the end. */
  awake(): Promise<void>;
  wake(): void;
  /** Set when the connection has lost its place. */
  readonly ended: DomainError | undefined;
  close(): void;
}

/** A place in a connection's queue for a command that is being stored as delivered. */
export interface Reservation {
  /** The command is stored. */
  deliver(row: CommandRow): void;
  /** It was not. */
  release(): void;
}

/** A robot that asks and waits. */
export interface Waiter {
  /** Resolves when there may be a command: true; or when another has taken its place or the server stops: false. */
  woken(): Promise<boolean>;
  close(): void;
}

/** Where commands for connected robots go, without a look into the database. At most one connection a robot. */
export interface CommandLanes {
  /** Takes the robot's place; who had it is ended. */
  connect(robotId: string, options: ConnectOptions): Connection;
  /** Takes the robot's place among those that ask and wait. */
  wait(robotId: string): Waiter;
  /**
   * To be asked when a command is about to be stored, in the order of storing: a place for it if the robot is
   * connected, caught up, and takes what it is sent; else undefined, and the command must be stored as queued. One that
   * `overtakes` has no need of its being caught up.
   */
  reserve(robotId: string, bytes: number, overtakes?: boolean): Reservation | undefined;
  /** A command was stored as queued. */
  notify(robotId: string): void;
  /** Takes commands back that have ended before they were written. */
  drop(robotId: string, commandIds: ReadonlySet<string>): void;
  /** Ends every connection and wait; no other begins. */
  closeAll(): void;
}

export interface ConnectOptions {
  /** Whether the connection takes more at this moment. */
  hasRoom: () => boolean;
  /** The next commands but those that it was given, marked as handed out, and whether they are all there is. */
  claim: (given: () => readonly number[]) => Promise<{ rows: CommandRow[]; isLast: boolean }>;
  /** What may wait in the queue. */
  capBytes: number;
}

interface Lane {
  connection?: LaneConnection;
  waiter?: { end(): void; wake(): void };
}

interface LaneConnection extends Connection {
  reserve(bytes: number, overtakes: boolean): Reservation | undefined;
  fallBehind(): void;
  drop(commandIds: ReadonlySet<string>): void;
  end(reason: DomainError): void;
}

export function createCommandLanes(): CommandLanes {
  const lanes = new Map<string, Lane>();
  let closed = false;

  function laneOf(robotId: string): Lane {
    const known = lanes.get(robotId);
    if (known) return known;
    const lane: Lane = {};
    lanes.set(robotId, lane);
    return lane;
  }
  function leave(robotId: string, part: Lane[keyof Lane]): void {
    const lane = lanes.get(robotId);
    if (!lane) return;
    if (lane.connection === part) delete lane.connection;
    if (lane.waiter === part) delete lane.waiter;
    if (!lane.connection && !lane.waiter) lanes.delete(robotId);
  }
  function notify(robotId: string): void {
    const lane = lanes.get(robotId);
    lane?.connection?.fallBehind();
    lane?.waiter?.wake();
  }

  function createConnection(robotId: string, options: ConnectOptions): LaneConnection {
    const { hasRoom, claim, capBytes } = options;
    let queue: CommandRow[] = [];
    let bytes = 0;
    /** Every command that it was given and that may still be unacknowledged, by `seq`. */
    const given = new Set<number>();
    let caughtUp = false;
    /** Something was stored since the last look into the database began. */
    let behind = false;
    let ended: DomainError | undefined;
    let wake = () => {};

    function push(row: CommandRow): void {
      queue.push(row);
      bytes += row.parameters.length;
      given.add(row.seq);
    }
    function clear(keep: (row: CommandRow) => boolean): void {
      queue = queue.filter((row) => {
        const kept = keep(row);
        if (!kept) bytes -= row.parameters.length;
        return kept;
      });
    }
    const connection: LaneConnection = {
      get ended() {
        return ended;
      },
      take() {
        const row = queue.shift();
        if (row) bytes -= row.parameters.length;
        return row;
      },
      get isCaughtUp() {
        return caughtUp;
      },
      async catchUp() {
        behind = false;
        const { rows, isLast } = await claim(() => [...given]);
        for (const row of rows) push(row);
        caughtUp = isLast && !behind;
      },
      async compare(read) {
        const before = [...given];
        const open = new Set(await read());
        for (const seq of before) if (!open.has(seq)) given.delete(seq);
        if ([...open].some((seq) => !given.has(seq))) connection.fallBehind();
      },
      awake: () =>
        new Promise((resolve) => {
          wake = resolve;
        }),
      wake: () => wake(),
      reserve(size, overtakes) {
        if (ended || !hasRoom()) return undefined;
        if (!overtakes && (!caughtUp || bytes + size > capBytes)) return undefined;
        bytes += size;
        return {
          release() {
            bytes -= size;
          },
          deliver(row) {
            bytes -= size;
            const isCurrent = lanes.get(robotId)?.connection === connection;
            if (!isCurrent) return notify(robotId);
            if (overtakes) clear(() => false);
            else if (!caughtUp) return connection.fallBehind();
            push(row);
            wake();
          },
        };
      },
      fallBehind() {
        caughtUp = false;
        behind = true;
        wake();
      },
      drop: (commandIds) => clear(({ id }) => !commandIds.has(id)),
      end(reason) {
        ended ??= reason;
        wake();
      },
      close() {
        ended ??= replaced();
        leave(robotId, connection);
      },
    };
    return connection;
  }

  return {
    connect(robotId, options) {
      if (closed) throw stopping('connect again');
      const lane = laneOf(robotId);
      lane.connection?.end(replaced());
      const connection = createConnection(robotId, options);
      lane.connection = connection;
      return connection;
    },
    wait(robotId) {
      let isOver = closed;
      let wasWoken = false;
      let wake = () => {};
      const waiter = {
        wake() {
          wasWoken = true;
          wake();
        },
        end() {
          isOver = true;
          wake();
        },
      };
      const lane = laneOf(robotId);
      lane.waiter?.end();
      lane.waiter = waiter;
      return {
        async woken() {
          if (!wasWoken && !isOver) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
          wasWoken = false;
          return !isOver;
        },
        close() {
          waiter.end();
          leave(robotId, waiter);
        },
      };
    },
    reserve: (robotId, bytes, overtakes = false) =>
      lanes.get(robotId)?.connection?.reserve(bytes, overtakes),
    notify,
    drop: (robotId, commandIds) => lanes.get(robotId)?.connection?.drop(commandIds),
    closeAll() {
      closed = true;
      for (const { connection, waiter } of [...lanes.values()]) {
        connection?.end(stopping('connect again'));
        waiter?.end();
      }
    },
  };
}

function replaced(): DomainError {
  return new DomainError('conflict', 'Another connection of this robot has taken over');
}
