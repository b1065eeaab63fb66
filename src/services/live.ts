import type { Principal } from '../contract/access.js';
import type { Clock } from '../lib/clock.js';
import { DomainError, type ErrorCode } from '../lib/errors.js';
import type { StreamEvent } from '../realtime/event.js';
import type { EventHub } from '../realtime/hub.js';
import { type Latest, latest } from '../realtime/live.js';
import type { PressureSocket } from '../realtime/pressure.js';
import type { Fleet, FleetRobot } from './fleet.js';

/** Who reads a live stream, over what, and which robots of theirs they want. */
export interface LiveReader {
  robot_ids?: readonly string[] | undefined;
  socket?: PressureSocket | undefined;
  signal?: AbortSignal | undefined;
  /** Asked now and then, because a stream outlives a credential. @throws when the reader may not go on. */
  authenticate: () => Promise<Principal>;
}

interface LiveOptions<T extends { robot_id: string }> {
  fleet: Fleet;
  hub: EventHub;
  clock: Clock;
  principal: Principal;
  reader: LiveReader;
  capBytes: number;
  topic: string;
  /** The robot's value as it is now; undefined when it has none yet. */
  snapshotOf: (robot: FleetRobot) => StreamEvent<T> | undefined;
}

const RECHECK_MS = 1_000;

/** The newest value of each robot that the caller may see, ended soon after the caller's credential is. */
export async function* liveOf<T extends { robot_id: string }>(
  options: LiveOptions<T>,
): AsyncGenerator<Latest<T>, void, undefined> {
  const { fleet, hub, clock, principal, reader, capBytes, topic, snapshotOf } = options;
  const wanted = reader.robot_ids && new Set(reader.robot_ids);
  for (const robotId of wanted ?? []) await fleet.owned(principal, robotId);
  const mayRead = (robotId: string) =>
    (principal.robot_id === null || principal.robot_id === robotId) &&
    (wanted?.has(robotId) ?? true);

  const ended = endWithCredential(clock, reader);
  try {
    yield* latest<T>({
      hub,
      topics: [topic],
      capBytes,
      clock,
      socket: reader.socket,
      signal: ended.signal,
      filter: ({ robot_id }) => mayRead(robot_id),
      snapshot: () => fleet.ownedBy(principal).flatMap((robot) => snapshotOf(robot) ?? []),
    });
  } finally {
    ended.stop();
  }
}

/** What `authenticate` may say that ends a stream; a database that is away for a moment does not. */
const VERDICTS: readonly ErrorCode[] = ['unauthenticated', 'forbidden', 'not_found'];

/** A signal that comes with the reader's own, or soon after the reader's credential has ended. */
export function endWithCredential(
  clock: Clock,
  { signal, authenticate }: Pick<LiveReader, 'signal'> & { authenticate: () => Promise<unknown> },
  recheckMs = RECHECK_MS,
): { signal: AbortSignal; stop(): void } {
  const ended = new AbortController();
  const stop = clock.every(recheckMs, () => {
    authenticate().catch((error: unknown) => {
      if (error instanceof DomainError && VERDICTS.includes(error.code)) ended.abort(error);
    });
  });
  return { stop, signal: signal ? AbortSignal.any([signal, ended.signal]) : ended.signal };
}
