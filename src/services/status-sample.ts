import { createHash } from 'node:crypto';
import { isShallow, parseInstant, TOO_DEEP } from '../contract/common.js';
import { type HotColumns, readKnown } from '../contract/known-status.js';
import { EventId, type Warning } from '../contract/status.js';
import type { IngestRow } from '../db/ingest.js';
import { DomainError } from '../lib/errors.js';
import { isJsonObject } from '../lib/json-object.js';

export type StatusRowInput = Extract<IngestRow, { kind: 'status' }>['row'];
export type StatusObject = Record<string, unknown>;

/** A status on its way in. */
export interface Sample {
  /** The object as the robot wrote it. */
  status_json: string;
  columns: HotColumns;
  /** What of its known keys was not understood. */
  warnings: Warning[];
  /** When the robot recorded it, in milliseconds; undefined means now. */
  timestamp?: number | undefined;
  event_id?: string | undefined;
}

/** The sample of a status that is known to be the text of a JSON object. */
export function sampleOf({
  status_json,
  timestamp,
  event_id,
}: Pick<Sample, 'status_json' | 'timestamp' | 'event_id'>): Sample {
  return { status_json, ...readKnown(status_json), timestamp, event_id };
}

/** A robot's clock may run ahead by this much; a sample from later still would hide all that follow. */
const FUTURE_LIMIT_MS = 5 * 60_000;

/** The row of a sample. */
export function rowOf(
  robot: { id: string; account_id: string },
  { status_json, columns, timestamp, event_id }: Sample,
  receivedAtMs: number,
): StatusRowInput {
  return {
    robot_id: robot.id,
    account_id: robot.account_id,
    status_json,
    timestamp: timestamp ?? receivedAtMs,
    received_at: receivedAtMs,
    event_id: event_id ?? contentId(timestamp, status_json),
    ...columns,
  };
}

/** A sample with a time of its own is the same sample whenever time and content are the same. */
function contentId(timestamp: number | undefined, statusJson: string): string | null {
  if (timestamp === undefined) return null;
  const hash = createHash('sha256').update(`${timestamp} ${statusJson}`).digest('base64url');
  return `~${hash.slice(0, 22)}`;
}

/**
 * One item of a batch as a sample, or the sentence that says why it is rejected; `text` is its status as it was written, if
 * the door knows that. By hand rather than in zod, because it is done up to 1,000 times a request.
 */
export function batchSample(item: unknown, text?: string): Sample | string {
  if (!isJsonObject(item)) return 'must be an object {status, timestamp, event_id?}';
  const { status, timestamp, event_id } = item;
  if (!isJsonObject(status)) return 'status: must be a JSON object';
  if (!isShallow(status, text)) return `status: ${TOO_DEEP}`;
  if (timestamp === undefined) return 'timestamp: is required in a batch';
  const ms = parseInstant(timestamp);
  if (typeof ms === 'string') return `timestamp: ${ms}`;
  const id = event_id === undefined ? undefined : eventIdOf(event_id);
  if (id === null) return 'event_id: must be a string of 1 to 128 characters';
  return sampleOf({ status_json: text ?? JSON.stringify(status), timestamp: ms, event_id: id });
}

const PLAIN_ID = /^[\x20-\x7e]{1,128}$/;

/** Null when it is none. */
export function eventIdOf(value: unknown): string | null {
  if (typeof value === 'string' && PLAIN_ID.test(value)) return value;
  return EventId.safeParse(value).data ?? null;
}

export function futureProblem(timestamp: number, now: number): string | undefined {
  return timestamp > now + FUTURE_LIMIT_MS
    ? "timestamp: lies more than 5 minutes in the future; check the robot's clock"
    : undefined;
}

/** @throws DomainError `invalid_input` naming every field that was not understood. */
export function refuseWarnings(warnings: readonly Warning[]): void {
  if (warnings.length === 0) return;
  throw new DomainError('invalid_input', warnings.map(describeWarning).join('; '), {
    issues: warnings.map(({ field, message }) => ({ path: field, message })),
  });
}

export function describeWarning({ field, message }: Warning): string {
  return `${field}: ${message}`;
}
