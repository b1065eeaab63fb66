import { SEQUENCE_DIGITS, sequenceText, statusObject } from '../lib/status-body.js';
import type { Job, Workload } from './job.js';

/** Makes the next request of one connection. The buffer is reused: it holds good until the next call. */
export interface RequestSource {
  next(): Buffer;
  /** The sequence number of the last request's first status. */
  readonly sequence: number;
}

/** Hands out the sequence numbers of one run. */
export interface SequenceCounter {
  take(count: number): number;
}

export function createSource(
  job: Job,
  connection: number,
  sequences: SequenceCounter,
): RequestSource {
  const workload = job.workload;
  const robotId = robotOf(workload, connection);
  switch (workload.kind) {
    case 'get':
      return fixedSource(request('GET', workload.path, job.port, workload.token, null));
    case 'post':
      return fixedSource(request('POST', workload.path, job.port, workload.token, workload.body));
    case 'status': {
      const body = JSON.stringify({ status: statusObject(0, connection) });
      const path = `/api/v1/robots/${robotId}/status`;
      return patchedSource(request('POST', path, job.port, workload.token, body), 1, sequences);
    }
    case 'batch':
      return batchSource(job, workload, robotId, connection, sequences);
  }
}

function robotOf(workload: Workload, connection: number): string {
  if (workload.kind !== 'status' && workload.kind !== 'batch') return '';
  return workload.robot_ids[connection % workload.robot_ids.length] as string;
}

function batchSource(
  job: Job,
  workload: Workload & { kind: 'batch' },
  robotId: string,
  connection: number,
  sequences: SequenceCounter,
): RequestSource {
  const samples = Array.from({ length: workload.size }, (_, index) => ({
    event_id: `event-${sequenceText(0)}`,
    timestamp: new Date(0).toISOString(),
    status: statusObject(0, connection + index),
  }));
  const path = `/api/v1/robots/${robotId}/status/batch`;
  const buffer = request('POST', path, job.port, workload.token, JSON.stringify({ samples }));
  const source = patchedSource(buffer, workload.size, sequences);
  const eventIds = offsetsOf(buffer, '"event-');
  const times = offsetsOf(buffer, '"timestamp":"');
  let recordedAt = workload.first_timestamp_ms + job.first_sequence * 100;
  return {
    get sequence() {
      return source.sequence;
    },
    next() {
      source.next();
      for (let index = 0; index < workload.size; index++) {
        writeDigits(buffer, eventIds[index] as number, source.sequence + index);
        buffer.write(new Date(recordedAt).toISOString(), times[index] as number, 'latin1');
        recordedAt += 100;
      }
      return buffer;
    },
  };
}

function fixedSource(buffer: Buffer): RequestSource {
  return { sequence: 0, next: () => buffer };
}

/** Writes a fresh sequence number into each of the statuses of a prepared request. */
function patchedSource(buffer: Buffer, count: number, sequences: SequenceCounter): RequestSource {
  const offsets = offsetsOf(buffer, '"seq":"');
  if (offsets.length !== count) throw new Error(`${offsets.length} statuses in place of ${count}`);
  let sequence = 0;
  return {
    get sequence() {
      return sequence;
    },
    next() {
      sequence = sequences.take(count);
      for (let index = 0; index < count; index++) {
        writeDigits(buffer, offsets[index] as number, sequence + index);
      }
      return buffer;
    },
  };
}

/** The offset just behind each occurrence of the text. */
function offsetsOf(buffer: Buffer, text: string): number[] {
  const offsets: number[] = [];
  for (let at = buffer.indexOf(text); at >= 0; at = buffer.indexOf(text, at + 1)) {
    offsets.push(at + text.length);
  }
  return offsets;
}

function writeDigits(buffer: Buffer, offset: number, value: number): void {
  let rest = value;
  for (let at = offset + SEQUENCE_DIGITS - 1; at >= offset; at--) {
    const tens = Math.floor(rest / 10);
    buffer[at] = 48 + rest - tens * 10;
    rest = tens;
  }
}

function request(
  method: string,
  path: string,
  port: number,
  token: string | null,
  body: string | null,
): Buffer {
  const head = [`${method} ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`];
  if (token !== null) head.push(`Authorization: Bearer ${token}`);
  if (body !== null) {
    head.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`);
  }
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body ?? ''}`);
}
