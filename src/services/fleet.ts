import type { Principal } from '../contract/access.js';
import type { Presence } from '../contract/robots.js';
import type { Db } from '../db/client.js';
import { allRobots, findRobot, type RobotRow } from '../db/repositories/robots.js';
import { latestStatuses } from '../db/repositories/statuses.js';
import { DomainError } from '../lib/errors.js';

/** The newest sample of a robot by recorded time. */
export interface LatestSample {
  id: number;
  /** As the robot sent it. */
  status_json: string;
  timestamp: number;
  received_at: number;
  /** Grows with every change in the fleet; tells live streams what is newer. */
  version: number;
}

/** A robot as the server holds it in memory: its row, its newest status, and when it was last heard of. */
export interface FleetRobot {
  row: RobotRow;
  latest: LatestSample | null;
  last_seen_at: number | null;
  presence: Presence;
  presence_version: number;
}

/** Every robot in memory, refilled at start; the database stays the truth. */
export interface Fleet {
  load(): Promise<void>;
  /**
   * The robot, for a caller who may act on it.
   * @throws DomainError `not_found` when there is none, `forbidden` when it is another account's, or another robot's
   *   than a robot's own key is for.
   */
  owned(principal: Principal, robotId: string): Promise<FleetRobot>;
  /** The robot, whoever owns it, if it is in memory. */
  get(robotId: string): FleetRobot | undefined;
  /** All robots that the caller may see, by id. */
  ownedBy(principal: Principal): FleetRobot[];
  all(): IterableIterator<FleetRobot>;
  count(): number;
  put(row: RobotRow): FleetRobot;
  remove(robotId: string): void;
  /** The next number of the one sequence that orders live values. */
  nextVersion(): number;
}

export function createFleet(db: Db): Fleet {
  const robots = new Map<string, FleetRobot>();
  let version = 0;

  function put(row: RobotRow): FleetRobot {
    const known = robots.get(row.id);
    if (known) {
      known.row = row;
      return known;
    }
    const robot: FleetRobot = {
      row,
      latest: null,
      last_seen_at: null,
      presence: 'offline',
      presence_version: ++version,
    };
    robots.set(row.id, robot);
    return robot;
  }

  /** Another instance may have registered it since the start. */
  async function find(robotId: string): Promise<FleetRobot | undefined> {
    const row = await findRobot(db, robotId);
    return row && row.deleted_at === null ? put(row) : undefined;
  }

  return {
    async load() {
      for (const row of await allRobots(db)) {
        if (row.deleted_at === null) put(row);
      }
      for (const { robot_id, id, status_json, timestamp, received_at } of await latestStatuses(
        db,
      )) {
        const robot = robots.get(robot_id);
        if (!robot) continue;
        robot.latest = { id, status_json, timestamp, received_at, version: ++version };
        robot.last_seen_at = received_at;
      }
    },
    async owned(principal, robotId) {
      const robot = robots.get(robotId) ?? (await find(robotId));
      if (!robot) throw new DomainError('not_found', 'Robot not found');
      const foreign = robot.row.account_id !== principal.account_id;
      if (foreign || (principal.robot_id !== null && principal.robot_id !== robotId)) {
        throw new DomainError('forbidden', 'Access denied');
      }
      return robot;
    },
    get: (robotId) => robots.get(robotId),
    ownedBy(principal) {
      const owned = [...robots.values()].filter(
        ({ row }) =>
          row.account_id === principal.account_id &&
          (principal.robot_id === null || principal.robot_id === row.id),
      );
      return owned.sort((a, b) => (a.row.id < b.row.id ? -1 : 1));
    },
    all: () => robots.values(),
    count: () => robots.size,
    put,
    remove: (robotId) => void robots.delete(robotId),
    nextVersion: () => ++version,
  };
}
