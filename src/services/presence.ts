import type { Principal } from '../contract/access.js';
import { toInstant } from '../contract/common.js';
import type { Presence, PresenceEvent } from '../contract/robots.js';
import type { Clock } from '../lib/clock.js';
import { StreamEvent } from '../realtime/event.js';
import type { EventHub } from '../realtime/hub.js';
import type { Fleet, FleetRobot } from './fleet.js';
import { type LiveReader, liveOf } from './live.js';

/** Who is there: told by when a robot was last heard of, changes pushed to those who watch. */
export interface Presences {
  /** The robot was heard of just now. */
  seen(robot: FleetRobot, atMs: number): void;
  /** Judges every robot anew, silent ones included, and publishes what changed. */
  sweep(): void;
  /** Judges every second until stopped. Returns the stop function. */
  start(): () => void;
  live(principal: Principal, reader: LiveReader): AsyncGenerator<PresenceEvent>;
}

export interface PresenceDeps {
  fleet: Fleet;
  hub: EventHub;
  clock: Clock;
  /** Silence after which a robot is stale, unless it has a timeout of its own. */
  timeoutMs: number;
  capBytes: number;
  /** Told of every change, after it. */
  onChange: (robot: FleetRobot) => void;
}

const SWEEP_MS = 1_000;
/** A robot is offline after this many timeouts of silence. */
const OFFLINE_TIMEOUTS = 3;

export function createPresences({
  fleet,
  hub,
  clock,
  timeoutMs,
  capBytes,
  onChange,
}: PresenceDeps): Presences {
  function judge(robot: FleetRobot, now: number): Presence {
    if (robot.last_seen_at === null) return 'offline';
    const silentMs = now - robot.last_seen_at;
    const limitMs = robot.row.presence_timeout_ms ?? timeoutMs;
    if (silentMs < limitMs) return 'online';
    return silentMs < offlineAfterMs(robot, timeoutMs) ? 'stale' : 'offline';
  }
  function update(robot: FleetRobot, now: number): void {
    const presence = judge(robot, now);
    if (presence === robot.presence) return;
    robot.presence = presence;
    robot.presence_version = fleet.nextVersion();
    hub.publish(topicOf(robot.row.account_id), eventOf(robot));
    onChange(robot);
  }
  function sweep(): void {
    const now = clock.now();
    for (const robot of fleet.all()) update(robot, now);
  }
  return {
    seen(robot, atMs) {
      robot.last_seen_at = Math.max(robot.last_seen_at ?? 0, atMs);
      if (robot.presence !== 'online') update(robot, atMs);
    },
    sweep,
    start: () => clock.every(SWEEP_MS, sweep),
    live: (principal, reader) =>
      liveOf({
        fleet,
        hub,
        clock,
        principal,
        reader,
        capBytes,
        topic: topicOf(principal.account_id),
        snapshotOf: eventOf,
      }),
  };
}

/** The silence after which a robot is offline. */
export function offlineAfterMs(robot: FleetRobot, timeoutMs: number): number {
  return (robot.row.presence_timeout_ms ?? timeoutMs) * OFFLINE_TIMEOUTS;
}

function topicOf(accountId: string): string {
  return `presence/${accountId}`;
}

function eventOf({ row, presence, presence_version, last_seen_at }: FleetRobot) {
  return new StreamEvent({
    key: row.id,
    version: presence_version,
    payload: {
      robot_id: row.id,
      presence,
      last_seen_at: last_seen_at === null ? null : toInstant(last_seen_at),
    },
  });
}
