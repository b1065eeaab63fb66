import { parseInstant } from '../../contract/common.js';
import { foundColumns, KNOWN_SLOTS, knownStatus } from '../../contract/known-status.js';
import { BATCH_LIMIT } from '../../contract/status.js';
import { type Found, STOP, scan, scanEach, skipSpace } from '../../lib/json-scan.js';
import { anything, objectWith, text } from '../../lib/json-shape.js';
import { eventIdOf, type Sample } from '../../services/status-sample.js';

/**
 * The bodies of statuses as most robots send them, read without parsing them. For any other the answer is undefined, and
 * only a parser can say what it is.
 */

const SLOT = { status: KNOWN_SLOTS, timestamp: KNOWN_SLOTS + 2, event_id: KNOWN_SLOTS + 4 };
const found: Found = new Float64Array(KNOWN_SLOTS + 6);

const SAMPLE = objectWith({
  status: knownStatus({ slot: SLOT.status }),
  timestamp: anything({ orNull: false, slot: SLOT.timestamp }),
  event_id: text({ slot: SLOT.event_id }),
});

export function scanStatusBody(bytes: Buffer): Sample | undefined {
  found.fill(Number.NaN);
  const end = scan(bytes, skipSpace(bytes, 0), SAMPLE, found);
  const isWhole = end !== STOP && skipSpace(bytes, end) === bytes.length;
  return isWhole ? foundSample(bytes) : undefined;
}

/** What stands around the list of samples, if nothing else does. */
const HEAD = /^[ \t\n\r]*{[ \t\n\r]*"samples"[ \t\n\r]*:[ \t\n\r]*(?=\[)/;
const TAIL = /^[ \t\n\r]*}[ \t\n\r]*$/;
const AROUND_BYTES = 64;

export function scanBatchBody(bytes: Buffer): Sample[] | undefined {
  const head = HEAD.exec(bytes.toString('latin1', 0, AROUND_BYTES))?.[0];
  if (head === undefined) return undefined;
  const samples: Sample[] = [];
  found.fill(Number.NaN);
  const end = scanEach(bytes, head.length, SAMPLE, found, () => {
    const sample = foundSample(bytes);
    found.fill(Number.NaN);
    if (sample?.timestamp === undefined) return false;
    return samples.push(sample) <= BATCH_LIMIT;
  });
  const isWhole = end !== STOP && samples.length > 0 && bytes.length - end <= AROUND_BYTES;
  return isWhole && TAIL.test(bytes.toString('latin1', end)) ? samples : undefined;
}

function foundSample(bytes: Buffer): Sample | undefined {
  const status_json = foundText(bytes, SLOT.status);
  if (status_json === undefined) return undefined;
  const timestamp = foundInstant(foundText(bytes, SLOT.timestamp));
  const event_id = foundId(foundText(bytes, SLOT.event_id));
  if (timestamp === null || event_id === null) return undefined;
  return { status_json, columns: foundColumns(found), warnings: [], timestamp, event_id };
}

function foundText(bytes: Buffer, slot: number): string | undefined {
  const start = found[slot] as number;
  return Number.isNaN(start) ? undefined : bytes.toString('utf8', start, found[slot + 1]);
}

/** Of the JSON text of an instant. Null when it is none, or not plainly written. */
function foundInstant(json: string | undefined): number | undefined | null {
  if (json === undefined) return undefined;
  const ms = parseInstant(json.startsWith('"') ? json.slice(1, -1) : Number(json));
  return typeof ms === 'number' ? ms : null;
}

/** Of the JSON text of an id. Null when it is none, or not plainly written. */
function foundId(json: string | undefined): string | undefined | null {
  if (json === undefined) return undefined;
  return json.includes('\\') ? null : eventIdOf(json.slice(1, -1));
}
