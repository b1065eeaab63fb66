import type { Principal } from '../contract/access.js';
import { toInstant } from '../contract/common.js';
import type {
  BatchVerdict,
  LiveStatus,
  PushedBatch,
  PushedStatus,
  Warning,
} from '../contract/status.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { StreamEvent } from '../realtime/event.js';
import type { EventHub } from '../realtime/hub.js';
import { assertStored, batchVerdict, pushedBatch } from './batch.js';
import type { Fleet, FleetRobot, LatestSample } from './fleet.js';
import type { Ingest } from './ingest.js';
import { type LiveReader, liveOf } from './live.js';
import type { Presences } from './presence.js';
import type { SampleWatcher } from './rule-engine.js';
import {
  describeWarning,
  futureProblem,
  refuseWarnings,
  rowOf,
  type Sample,
  type StatusObject,
  type StatusRowInput,
} from './status-sample.js';

/** Statuses in, the newest one out, and live. What lies further back is in StatusHistory. */
export interface Statuses {
  /** Stores one status. Resolves after the commit; a repeat of a sample that is known changes nothing. */
  push(principal: Principal, robotId: string, sample: Sample): Promise<PushedStatus>;
  /** Stores up to 1,000 samples, each with the robot's own time, and tells what became of each; or why it is none. */
  pushBatch(
    principal: Principal,
    robotId: string,
    items: readonly (Sample | string)[],
  ): Promise<PushedBatch>;
  latest(principal: Principal, robotId: string): Promise<LatestSample | null>;
  /** The newest status of each robot: first as it is, then whenever it changes. */
  live(principal: Principal, reader: LiveReader): AsyncGenerator<LiveStatus>;
}

export interface StatusDeps {
  fleet: Fleet;
  ingest: Ingest;
  presences: Presences;
  rules: SampleWatcher;
  hub: EventHub;
  clock: Clock;
  /** Refuse what would otherwise be stored with warnings. */
  strict: boolean;
  capBytes: number;
}

export function createStatuses(deps: StatusDeps): Statuses {
  const { fleet, ingest, presences, rules, hub, clock, strict, capBytes } = deps;

  /** Makes a stored sample the robot's newest if it is; a late one goes to the history alone. */
  function apply(robot: FleetRobot, row: StatusRowInput, id: number): void {
    const { latest } = robot;
    const isNewer =
      !latest ||
      row.timestamp > latest.timestamp ||
      (row.timestamp === latest.timestamp && id > latest.id);
    if (!isNewer) return;
    const { status_json, timestamp, received_at } = row;
    robot.latest = { id, status_json, timestamp, received_at, version: fleet.nextVersion() };
    const topic = topicOf(row.account_id);
    if (hub.hasSubscribers(topic)) hub.publish(topic, eventOf(row.robot_id, robot.latest));
  }

  // Judging and storing are apart, so that no parsed status is held while its commit is waited for: at thousands a
  // second the garbage collector would carry each of them along.

  async function push(
    principal: Principal,
    robotId: string,
    sample: Sample,
  ): Promise<PushedStatus> {
    const robot = await fleet.owned(principal, robotId);
    const now = clock.now();
    const future = sample.timestamp !== undefined && futureProblem(sample.timestamp, now);
    if (future) throw new DomainError('invalid_input', future);
    if (strict) refuseWarnings(sample.warnings);
    return store(robot, rowOf(robot.row, sample, now), sample.warnings);
  }

  async function store(
    robot: FleetRobot,
    row: StatusRowInput,
    warnings: Warning[],
  ): Promise<PushedStatus> {
    const [verdict] = await ingest.push([{ kind: 'status', row }]);
    assertStored(verdict);
    presences.seen(robot, row.received_at);
    if (verdict.outcome === 'stored') {
      if (rules.watches(row.account_id)) rules.sampled(robot, [row]);
      apply(robot, row, verdict.id);
    }
    const answer = { message: 'Status updated successfully', timestamp: toInstant(row.timestamp) };
    return warnings.length > 0 ? { ...answer, warnings } : answer;
  }

  async function pushBatch(
    principal: Principal,
    robotId: string,
    items: readonly (Sample | string)[],
  ): Promise<PushedBatch> {
    const robot = await fleet.owned(principal, robotId);
    const now = clock.now();
    const accepted: Accepted[] = [];
    const results = items.map((sample, index): BatchVerdict => {
      const reason = typeof sample === 'string' ? sample : rejection(sample, now);
      if (typeof sample === 'string' || reason !== undefined) {
        return { index, result: 'rejected', reason };
      }
      accepted.push({ index, row: rowOf(robot.row, sample, now), warnings: sample.warnings });
      return { index, result: 'stored' };
    });
    return storeBatch(robot, accepted, results);
  }

  function rejection({ timestamp, warnings }: Sample, now: number): string | undefined {
    const future = timestamp !== undefined && futureProblem(timestamp, now);
    if (future) return future;
    if (strict && warnings.length > 0) return warnings.map(describeWarning).join('; ');
    return undefined;
  }

  async function storeBatch(
    robot: FleetRobot,
    accepted: readonly Accepted[],
    results: BatchVerdict[],
  ): Promise<PushedBatch> {
    const verdicts = await ingest.push(accepted.map(({ row }) => ({ kind: 'status', row })));
    let newest: { id: number; row: StatusRowInput } | undefined;
    for (const [at, { index, row, warnings }] of accepted.entries()) {
      const verdict = verdicts[at];
      results[index] = batchVerdict(index, verdict, warnings);
      // Ids grow with the position, so of equal times the later one wins.
      const isStored = verdict?.outcome === 'stored';
      if (isStored && row.timestamp >= (newest?.row.timestamp ?? Number.NEGATIVE_INFINITY)) {
        newest = { id: verdict.id, row };
      }
    }
    if (accepted[0]) presences.seen(robot, accepted[0].row.received_at);
    if (newest && rules.watches(newest.row.account_id)) {
      const stored = accepted.filter((_, at) => verdicts[at]?.outcome === 'stored');
      rules.sampled(
        robot,
        stored.map(({ row }) => row),
      );
    }
    if (newest) apply(robot, newest.row, newest.id);
    return pushedBatch(robot.row.id, results);
  }

  return {
    push,
    pushBatch,
    latest: async (principal, robotId) => (await fleet.owned(principal, robotId)).latest,
    live: (principal, reader) =>
      liveOf({
        fleet,
        hub,
        clock,
        principal,
        reader,
        capBytes,
        topic: topicOf(principal.account_id),
        snapshotOf: ({ row, latest }) => (latest ? eventOf(row.id, latest) : undefined),
      }),
  };
}

function topicOf(accountId: string): string {
  return `status/${accountId}`;
}

function eventOf(robot_id: string, sample: LatestSample) {
  return new StreamEvent({
    key: robot_id,
    version: sample.version,
    payload: {
      robot_id,
      status: JSON.parse(sample.status_json) as StatusObject,
      timestamp: toInstant(sample.timestamp),
      received_at: toInstant(sample.received_at),
    },
  });
}

/** A sample of a batch that may be stored. */
interface Accepted {
  index: number;
  row: StatusRowInput;
  warnings: Warning[];
}
