import { toInstant } from '../contract/common.js';
import type { LogEntry } from '../contract/logs.js';
import type { IngestRow, IngestVerdict } from '../db/ingest.js';
import type { LogRow } from '../db/repositories/logs.js';
import { StreamEvent } from '../realtime/event.js';
import type { EventHub } from '../realtime/hub.js';
import { messagePayload, messagesTopic } from './messages.js';
import { createStretches } from './stretches.js';

/** How the rows of one kind are told to those who watch. */
interface Telling<Row> {
  topicOf(row: Row): string;
  payloadOf(row: Row & { id: number }): object;
}
type RowOf<Kind extends IngestRow['kind']> = Extract<IngestRow, { kind: Kind }>['row'];

const TOLD: { [Kind in IngestRow['kind']]?: Telling<RowOf<Kind>> } = {
  log: { topicOf: ({ account_id }) => logsTopic(account_id), payloadOf: logPayload },
  message: {
    topicOf: ({ account_id }) => messagesTopic(account_id),
    payloadOf: messagePayload,
  },
};

/** Tells of each commit of telemetry, in the order of the commits; costs one look-up a row where nobody watches. */
export function createTelemetryEvents(hub: EventHub) {
  const stretchOf = { status: () => 0, log: createStretches(), message: createStretches() };

  return function onStored(rows: readonly IngestRow[], verdicts: readonly IngestVerdict[]): void {
    for (const [at, { kind, row }] of rows.entries()) {
      const verdict = verdicts[at];
      if (verdict?.outcome !== 'stored') continue;
      const { id } = verdict;
      const stretch = stretchOf[kind](id);
      // Kind and row belong together, which the type of a union does not say.
      const told = TOLD[kind] as Telling<typeof row> | undefined;
      const topic = told?.topicOf(row);
      if (!told || topic === undefined || !hub.hasSubscribers(topic)) continue;
      const payload = told.payloadOf({ ...row, id });
      hub.publish(topic, new StreamEvent({ payload, version: id, cursor: String(id), stretch }));
    }
  };
}

export function logsTopic(accountId: string): string {
  return `logs/${accountId}`;
}

/** A stored log line in the shape of the wire. */
export function logEntry(row: Omit<LogRow, 'event_id'>): LogEntry {
  const { id, robot_id, account_id, topic, message, level, timestamp, received_at } = row;
  return {
    ...{ id, robot_id, account_id, topic, message, level },
    timestamp: toInstant(timestamp),
    received_at: toInstant(received_at),
  };
}

/** The same as an event of a stream. */
export function logPayload(row: Omit<LogRow, 'event_id'>) {
  return { type: 'log' as const, ...logEntry(row) };
}
