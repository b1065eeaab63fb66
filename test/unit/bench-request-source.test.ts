import { describe, expect, it } from 'vitest';
import type { Job, Workload } from '../../bench/generator/job.js';
import { createSource } from '../../bench/generator/request-source.js';
import { sequenceOf } from '../../bench/lib/status-body.js';

function sourceOf(workload: Workload, connection = 0) {
  const job: Job = {
    port: 8080,
    connections: 1,
    duration_ms: 1000,
    rate: null,
    workload,
    first_sequence: 5,
    until_death: false,
  };
  let next = job.first_sequence;
  return createSource(job, connection, {
    take(count) {
      next += count;
      return next - count;
    },
  });
}

function read(request: Buffer): { head: string; body: string } {
  const [head, body] = request.toString().split('\r\n\r\n') as [string, string];
  return { head, body };
}

describe('createSource', () => {
  it('makes statuses of about 600 bytes that differ in their sequence alone', () => {
    const source = sourceOf({ kind: 'status', token: 'key', robot_ids: ['a', 'b'] }, 1);
    const first = read(source.next());
    const second = read(source.next());
    expect(source.sequence).toBe(6);
    expect(first.head).toContain('POST /api/v1/robots/b/status HTTP/1.1');
    expect(first.head).toContain('Authorization: Bearer key');
    expect(first.head).toContain(`Content-Length: ${Buffer.byteLength(first.body)}`);
    expect(first.body.length).toBeGreaterThan(570);
    expect(first.body.length).toBeLessThan(640);
    expect([sequenceOf(first.body), sequenceOf(second.body)]).toEqual([5, 6]);
    expect(second.body.replace('000006', '000005')).toBe(first.body);
  });

  it('sends any other body as it is, with and without a credential', () => {
    const post = { kind: 'post', path: '/trpc/a', body: '{"ü":1}' } as const;
    const { head, body } = read(sourceOf({ ...post, token: 'key' }).next());
    expect(head).toContain('POST /trpc/a HTTP/1.1');
    expect(head).toContain('Content-Length: 8');
    expect(head).toContain('Authorization: Bearer key');
    expect(body).toBe('{"ü":1}');
    expect(read(sourceOf({ ...post, token: null }).next()).head).not.toContain('Authorization');
  });

  it('gives each sample of a batch its own sequence, event id and time', () => {
    const source = sourceOf({
      kind: 'batch',
      token: 'key',
      robot_ids: ['a'],
      size: 3,
      first_timestamp_ms: 0,
    });
    const samples = [0, 1].flatMap(() => JSON.parse(read(source.next()).body).samples);
    expect(samples.map((sample) => Number(sample.status.seq))).toEqual([5, 6, 7, 8, 9, 10]);
    expect(samples.map((sample) => sample.event_id)).toEqual(
      [5, 6, 7, 8, 9, 10].map((n) => `event-${String(n).padStart(12, '0')}`),
    );
    expect(samples.map((sample) => Date.parse(sample.timestamp))).toEqual([
      500, 600, 700, 800, 900, 1000,
    ]);
  });
});
