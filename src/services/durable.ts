import type { Principal } from '../contract/access.js';
import type { Db } from '../db/client.js';
import { lastStreamEventId, streamEventsAfter } from '../db/repositories/stream-events.js';
import { horizonOf } from '../db/repositories/stream-horizons.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { type Durable, type DurableSource, durable } from '../realtime/durable.js';
import { StreamEvent } from '../realtime/event.js';
import type { EventHub } from '../realtime/hub.js';
import type { Fleet } from './fleet.js';
import { type JournalEvent, journalTopic } from './journal.js';
import { endWithCredential, type LiveReader } from './live.js';

/** Who reads a durable stream, and where they stopped. */
export interface DurableReader extends LiveReader {
  /** The cursor of the last event they have; absent begins with what comes from now on. */
  cursor?: string | null | undefined;
}

export interface DurableDeps {
  db: Db;
  fleet: Fleet;
  hub: EventHub;
  clock: Clock;
  capBytes: number;
}

interface DurableOfOptions<T> {
  principal: Principal;
  reader: DurableReader;
  topic: string;
  /** `robotIds` is undefined for all robots of the account. */
  sourceOf: (robotIds: readonly string[] | undefined) => DurableSource<T>;
  /** What else the reader wants of live events. */
  filter?: (payload: T) => boolean;
}

/**
 * A durable stream of the robots that the caller may see, ended soon after the caller's credential is.
 * @throws DomainError as `fleet.owned`, and `invalid_input` for a cursor that is none.
 */
export async function* durableOf<T extends { robot_id: string }>(
  { fleet, hub, clock, capBytes }: DurableDeps,
  { principal, reader, topic, sourceOf, filter }: DurableOfOptions<T>,
): AsyncGenerator<Durable<T>, void, undefined> {
  const asked = principal.robot_id === null ? reader.robot_ids : [principal.robot_id];
  for (const robotId of reader.robot_ids ?? []) await fleet.owned(principal, robotId);
  const wanted = asked && new Set(asked);
  const ended = endWithCredential(clock, reader);
  try {
    yield* durable<T>({
      hub,
      topic,
      clock,
      capBytes,
      source: sourceOf(asked),
      after: cursorOf(reader.cursor),
      socket: reader.socket,
      signal: ended.signal,
      filter: (payload) => (wanted?.has(payload.robot_id) ?? true) && (filter?.(payload) ?? true),
    });
  } finally {
    ended.stop();
  }
}

/** What happened to the alerts or commands of an account, from the journal. */
export function journalOf<T extends { robot_id: string }>(
  deps: DurableDeps,
  stream: JournalEvent['stream'],
  principal: Principal,
  reader: DurableReader,
): AsyncGenerator<Durable<T>, void, undefined> {
  const { db } = deps;
  const { account_id } = principal;
  return durableOf<T>(deps, {
    principal,
    reader,
    topic: journalTopic(stream, account_id),
    sourceOf: (robot_ids) => ({
      end: () => lastStreamEventId(db),
      horizon: () => horizonOf(db, { stream, account_id, robot_ids }),
      async read(after, limit) {
        const rows = await streamEventsAfter(db, { stream, account_id, robot_ids, after, limit });
        return rows.map(
          ({ id, payload }) =>
            new StreamEvent<T>({ payload: JSON.parse(payload), version: id, cursor: String(id) }),
        );
      },
    }),
  });
}

/** @throws DomainError `invalid_input` for what no stream has given out. */
export function cursorOf(cursor: string | null | undefined): number | null {
  if (cursor === null || cursor === undefined) return null;
  const after = Number(cursor);
  if (/^\d{1,16}$/.test(cursor) && Number.isSafeInteger(after)) return after;
  throw new DomainError('invalid_input', 'cursor: must be that of an event of this stream');
}
