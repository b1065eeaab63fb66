import { InstantInput, isShallow, TOO_DEEP } from '../../contract/common.js';
import { EventId, PushBatchInput } from '../../contract/status.js';
import { DomainError } from '../../lib/errors.js';
import { memberText, memberTexts } from '../../lib/json-slice.js';
import { batchSample, isJsonObject, type Sample, sampleOf } from '../../services/status-sample.js';
import { parseJson } from '../json-body.js';

/** The body of a single status. @throws DomainError `invalid_input` naming the member that is wrong; status 400. */
export function readStatusBody(bytes: Buffer): Sample {
  const text = bytes.toString('utf8');
  return readBareStatus(text) ?? readWholeBody(text);
}

const PREFIX = '{"status":';

/** What most robots send is a status and nothing beside it. If the rest of such a text parses, it is the status. */
function readBareStatus(text: string): Sample | undefined {
  if (!text.startsWith(PREFIX) || !text.endsWith('}')) return undefined;
  const status_json = text.slice(PREFIX.length, -1).trim();
  try {
    const status = JSON.parse(status_json);
    const isStatus = isJsonObject(status) && isShallow(status, status_json);
    return isStatus ? sampleOf({ status, status_json }) : undefined;
  } catch {
    return undefined;
  }
}

function readWholeBody(text: string): Sample {
  const body = parseJson(text);
  const { status, timestamp, event_id } = isJsonObject(body) ? body : {};
  if (!isJsonObject(status)) throw new DomainError('invalid_input', 'status must be a JSON object');
  if (!isShallow(status)) throw new DomainError('invalid_input', `status: ${TOO_DEEP}`);
  return sampleOf({
    status,
    status_json: memberText(text, 'status'),
    timestamp: timestamp === undefined ? undefined : parsed(InstantInput, 'timestamp', timestamp),
    event_id: event_id === undefined ? undefined : parsed(EventId, 'event_id', event_id),
  });
}

const Samples = PushBatchInput.shape.samples;

/**
 * The samples of a batch; in place of a bad one, why it is none.
 * @throws DomainError `invalid_input` when they are no list, or too many; status 400.
 */
export function readBatchBody(bytes: Buffer): (Sample | string)[] {
  const text = bytes.toString('utf8');
  const body = parseJson(text);
  const items = parsed(Samples, 'samples', isJsonObject(body) ? body.samples : undefined);
  const texts = memberTexts(text, 'samples', 'status');
  return items.map((item, index) => batchSample(item, texts[index]));
}

interface Parser<T> {
  safeParse(
    value: unknown,
  ): { success: true; data: T } | { success: false; error: { issues: { message: string }[] } };
}

function parsed<T>(schema: Parser<T>, field: string, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ message }) => ({ path: field, message }));
  throw new DomainError('invalid_input', `${field}: ${issues[0]?.message}`, { issues });
}
