import type { Principal } from '../contract/access.js';
import { toInstant } from '../contract/common.js';
import type { RegisterRobotInput, Robot, UpdateRobotInput } from '../contract/robots.js';
import type { Db } from '../db/client.js';
import { findRobot, insertRobot, updateRobot } from '../db/repositories/robots.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Fleet, FleetRobot } from './fleet.js';

/** The robots of an account. */
export interface Robots {
  /** Adds a robot; the same id again by its owner is harmless and says so. */
  register(
    principal: Principal,
    input: RegisterRobotInput,
  ): Promise<{ message: string; robot_id: string }>;
  list(principal: Principal): Robot[];
  get(principal: Principal, robotId: string): Promise<Robot>;
  update(principal: Principal, input: UpdateRobotInput): Promise<Robot>;
  /**
   * The robot is gone for every caller when this resolves; its statuses, logs and alerts follow in slices, also after
   * a restart. Until they are gone its id cannot be registered again.
   */
  delete(principal: Principal, robotId: string, confirm: string): Promise<void>;
}

export interface RobotsDeps {
  db: Db;
  fleet: Fleet;
  clock: Clock;
  /** How many robots an account may have; null for any number. */
  quota: number | null;
  /** Told that a robot's data waits to be deleted. */
  purge: () => void;
}

export function createRobots({ db, fleet, clock, quota, purge }: RobotsDeps): Robots {
  /** Registrations that are being stored, by account: two at once must not both take the last place. */
  const underWay = new Map<string, number>();

  /** @throws DomainError `forbidden` when the account has no place left. */
  async function inPlace<T>(principal: Principal, work: () => Promise<T>): Promise<T> {
    const { account_id } = principal;
    const others = underWay.get(account_id) ?? 0;
    if (quota !== null && fleet.ownedBy(principal).length + others >= quota) {
      throw new DomainError('forbidden', 'Robot quota exceeded', { limit: 'robots_per_account' });
    }
    underWay.set(account_id, others + 1);
    try {
      return await work();
    } finally {
      const left = (underWay.get(account_id) ?? 1) - 1;
      if (left > 0) underWay.set(account_id, left);
      else underWay.delete(account_id);
    }
  }

  async function alreadyThere(principal: Principal, robotId: string) {
    const row = await findRobot(db, robotId);
    if (row && row.deleted_at !== null) {
      throw new DomainError('conflict', 'Robot ID is still being deleted; try again shortly', {
        retryAfterMs: 5_000,
      });
    }
    if (row?.account_id !== principal.account_id) {
      throw new DomainError('conflict', 'Robot ID already taken');
    }
    fleet.put(row);
    return { message: 'Robot already registered', robot_id: robotId };
  }

  return {
    async register(principal, { robot_id, robot_type, robot_name, presence_timeout_ms }) {
      if (principal.robot_id !== null && principal.robot_id !== robot_id) {
        throw new DomainError('forbidden', 'Access denied');
      }
      if (await findRobot(db, robot_id)) return alreadyThere(principal, robot_id);
      const now = clock.now();
      const row = {
        id: robot_id,
        account_id: principal.account_id,
        robot_type,
        robot_name: robot_name ?? null,
        presence_timeout_ms: presence_timeout_ms ?? null,
        active_map_id: null,
        stopped_at: null,
        stopped_by: null,
        deleted_at: null,
        created_at: now,
        updated_at: now,
      };
      const added = await inPlace(principal, async () => {
        const inserted = await insertRobot(db, row);
        if (inserted) fleet.put(row);
        return inserted;
      });
      if (!added) return alreadyThere(principal, robot_id);
      return { message: 'Robot registered successfully', robot_id };
    },
    list: (principal) => fleet.ownedBy(principal).map(toWire),
    get: async (principal, robotId) => toWire(await fleet.owned(principal, robotId)),
    async update(principal, { robot_id, ...changes }) {
      await fleet.owned(principal, robot_id);
      const given = Object.fromEntries(
        Object.entries(changes).filter(([, value]) => value !== undefined),
      );
      const row = await updateRobot(db, principal.account_id, robot_id, {
        ...given,
        updated_at: clock.now(),
      });
      if (!row) throw new DomainError('not_found', 'Robot not found');
      return toWire(fleet.put(row));
    },
    async delete(principal, robotId, confirm) {
      await fleet.owned(principal, robotId);
      if (confirm !== robotId) {
        throw new DomainError('invalid_input', `confirm: must be the robot's id, ${robotId}`);
      }
      const now = clock.now();
      await updateRobot(db, principal.account_id, robotId, { deleted_at: now, updated_at: now });
      fleet.remove(robotId);
      purge();
    },
  };
}

function toWire({ row, presence, last_seen_at }: FleetRobot): Robot {
  return {
    id: row.id,
    account_id: row.account_id,
    robot_type: row.robot_type,
    robot_name: row.robot_name,
    presence,
    last_seen_at: last_seen_at === null ? null : toInstant(last_seen_at),
    presence_timeout_ms: row.presence_timeout_ms,
    active_map_id: row.active_map_id,
    stopped_at: row.stopped_at === null ? null : toInstant(row.stopped_at),
    stopped_by: row.stopped_by,
    created_at: toInstant(row.created_at),
    updated_at: toInstant(row.updated_at),
  };
}
