import type { Principal } from '../contract/access.js';
import { toInstant } from '../contract/common.js';
import type { LiveMessage, MessageEntry, PushedMessage } from '../contract/messages.js';
import type { Db } from '../db/client.js';
import {
  lastMessageId,
  type MessageRow,
  messagesAfter,
  newestMessages,
} from '../db/repositories/messages.js';
import { horizonOf } from '../db/repositories/stream-horizons.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Durable } from '../realtime/durable.js';
import { StreamEvent } from '../realtime/event.js';
import { assertStored } from './batch.js';
import { type DurableDeps, type DurableReader, durableOf } from './durable.js';
import type { Fleet } from './fleet.js';
import type { Ingest } from './ingest.js';
import type { MessageSchemas } from './message-schemas.js';
import type { Presences } from './presence.js';
import { futureProblem } from './status-sample.js';
import { formatCursor, parseTimeCursor } from './time-cursor.js';

/** A message on its way in. */
export interface IncomingMessage {
  schema_id: string;
  payload: Record<string, unknown>;
  /** The payload as it was written, if the door knows it. */
  payload_json?: string | undefined;
  /** When the robot recorded it, in milliseconds; undefined means now. */
  timestamp?: number | undefined;
  event_id?: string | undefined;
}

export interface MessagesQuery {
  schema_id?: string | undefined;
  start?: number | undefined;
  end?: number | undefined;
  limit: number;
  cursor?: string | undefined;
}

/** What robots say in shapes of their account's own. */
export interface Messages {
  /**
   * Stores a message that its schema takes. Resolves after the commit; the same `event_id` again changes nothing.
   * @throws DomainError as `fleet.owned` and `MessageSchemas.assertValid`.
   */
  push(principal: Principal, robotId: string, message: IncomingMessage): Promise<PushedMessage>;
  /** A page of a robot's messages, newest first; shorter than `limit` when they are large. */
  page(
    principal: Principal,
    robotId: string,
    query: MessagesQuery,
  ): Promise<{ rows: MessageRow[]; next_cursor: string | null }>;
  /** Every message from the reader's cursor on, of one schema if it is named. */
  live(
    principal: Principal,
    reader: DurableReader,
    schemaId?: string | undefined,
  ): AsyncGenerator<Durable<LiveMessage>>;
}

export interface MessagesDeps {
  db: Db;
  fleet: Fleet;
  ingest: Ingest;
  presences: Presences;
  clock: Clock;
  streams: DurableDeps;
  messageSchemas: MessageSchemas;
}

/** A message as far as anybody is told of it. */
type StoredMessage = Omit<MessageRow, 'account_id' | 'event_id'>;

/** One message may be as large as a request, so a page is cut by its length too. */
const FIRST_READ_ROWS = 5;
const PAGE_CHARACTERS = 2_000_000;

export function createMessages(deps: MessagesDeps): Messages {
  const { db, fleet, ingest, presences, clock, streams, messageSchemas } = deps;

  return {
    async push(principal, robotId, { schema_id, payload, payload_json, timestamp, event_id }) {
      const robot = await fleet.owned(principal, robotId);
      const now = clock.now();
      const future = timestamp !== undefined && futureProblem(timestamp, now);
      if (future) throw new DomainError('invalid_input', future);
      await messageSchemas.assertValid(principal, schema_id, payload);
      const row = {
        robot_id: robotId,
        account_id: robot.row.account_id,
        schema_id,
        payload: payload_json ?? JSON.stringify(payload),
        timestamp: timestamp ?? now,
        received_at: now,
        event_id: event_id ?? null,
      };
      const [verdict] = await ingest.push([{ kind: 'message', row }]);
      assertStored(verdict);
      presences.seen(robot, now);
      const message = 'Message stored';
      return verdict.outcome === 'stored' ? { message, id: verdict.id } : { message };
    },

    async page(principal, robot_id, { limit, cursor, ...filters }) {
      await fleet.owned(principal, robot_id);
      const query = { ...filters, robot_id, account_id: principal.account_id };
      let after: { timestamp: number; id: number } | undefined =
        cursor === undefined ? undefined : parseTimeCursor(cursor);
      const rows: MessageRow[] = [];
      let characters = 0;
      let read = FIRST_READ_ROWS;
      while (rows.length < limit && characters < PAGE_CHARACTERS) {
        const wanted = Math.min(read, limit - rows.length);
        const more = await newestMessages(db, query, wanted, after);
        for (const row of more) characters += row.payload.length;
        rows.push(...more);
        after = more.at(-1) ?? after;
        if (more.length < wanted) return { rows, next_cursor: null };
        const fitting = Math.floor((rows.length * PAGE_CHARACTERS) / Math.max(1, characters));
        read = Math.max(1, fitting - rows.length);
      }
      return { rows, next_cursor: after ? formatCursor(after.timestamp, after.id) : null };
    },

    live(principal, reader, schema_id) {
      const { account_id } = principal;
      return durableOf<LiveMessage>(streams, {
        principal,
        reader,
        topic: messagesTopic(account_id),
        ...(schema_id !== undefined && { filter: (event) => event.schema_id === schema_id }),
        sourceOf: (robot_ids) => ({
          end: () => lastMessageId(db),
          horizon: () => horizonOf(db, { stream: 'messages', account_id, robot_ids }),
          async read(after, limit) {
            const query = { account_id, robot_ids, schema_id, after, limit };
            const rows = await messagesAfter(db, query);
            return rows.map(
              (row) =>
                new StreamEvent({
                  payload: messagePayload(row),
                  version: row.id,
                  cursor: String(row.id),
                }),
            );
          },
        }),
      });
    },
  };
}

/** Where the messages of an account are published. */
export function messagesTopic(accountId: string): string {
  return `messages/${accountId}`;
}

/** A stored row in the shape of the wire. */
export function messageEntry(row: StoredMessage): MessageEntry {
  return { ...frameOf(row), payload: JSON.parse(row.payload) };
}

/** The same as its watchers get it. */
export function messagePayload(row: StoredMessage): LiveMessage {
  return { type: 'message', ...messageEntry(row) };
}

/** The same as JSON text with the robot's message to the letter: parsing it would round integers beyond 2^53. */
export function messageJson(row: StoredMessage): string {
  return `${JSON.stringify(frameOf(row)).slice(0, -1)},"payload":${row.payload}}`;
}

function frameOf({ id, robot_id, schema_id, timestamp, received_at }: StoredMessage) {
  return {
    id,
    robot_id,
    schema_id,
    timestamp: toInstant(timestamp),
    received_at: toInstant(received_at),
  };
}
