import { InstantInput, isShallow, TOO_DEEP } from '../../contract/common.js';
import { EventId, PushBatchInput } from '../../contract/status.js';
import { DomainError } from '../../lib/errors.js';
import { isJsonObject } from '../../lib/json-object.js';
import { memberText, memberTexts } from '../../lib/json-slice.js';
import { batchSample, type Sample, sampleOf } from '../../services/status-sample.js';
import { parseJson } from '../json-body.js';
import { scanBatchBody, scanStatusBody } from './kairoio-status-scan.js';

/** The body of a single status. @throws DomainError `invalid_input` naming the member that is wrong; status 400. */
export function readStatusBody(bytes: Buffer): Sample {
  return scanStatusBody(bytes) ?? parseStatusBody(bytes.toString('utf8'));
}

function parseStatusBody(text: string): Sample {
  const body = parseJson(text);
  const { status, timestamp, event_id } = isJsonObject(body) ? body : {};
  if (!isJsonObject(status)) throw new DomainError('invalid_input', 'status must be a JSON object');
  if (!isShallow(status)) throw new DomainError('invalid_input', `status: ${TOO_DEEP}`);
  return sampleOf({
    status_json: memberText(text, 'status') as string,
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
  return scanBatchBody(bytes) ?? parseBatchBody(bytes.toString('utf8'));
}

function parseBatchBody(text: string): (Sample | string)[] {
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
