import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  readBatchBody,
  readStatusBody,
} from '../../src/rest-adapter/surfaces/kairoio-status-body.js';
import {
  scanBatchBody,
  scanStatusBody,
} from '../../src/rest-adapter/surfaces/kairoio-status-scan.js';

const read = (text: string) => readStatusBody(Buffer.from(text));

describe('the body of a single status', () => {
  it.each([
    ['nothing beside the status', '{"status":{"n":1.0}}', '{"n":1.0}'],
    [
      'as Python writes it',
      '{"status": {"n": 12345678901234567890}}',
      '{"n": 12345678901234567890}',
    ],
    ['with lines', ' {\n "status" : {\n "n" : 1\n }\n}\n', '{\n "n" : 1\n }'],
    ['with more members', '{"a":[1,"}"],"status":{"é":"\\u00e9"},"b":{}}', '{"é":"\\u00e9"}'],
    ['a status twice is the last one', '{"status":{"n":1},"status":{"n":2}}', '{"n":2}'],
    ['a status and what looks like one', '{"status":{},"x":{"status":{"n":1}}}', '{}'],
    ['a name in escapes', '{"st\\u0061tus":{"n":1}}', '{"n":1}'],
  ])('is read to the letter: %s', (_name, text, status_json) => {
    expect(read(text).status_json).toBe(status_json);
  });

  it.each([
    ['nothing', ''],
    ['no JSON', '{"status":{}'],
    ['a brace too many', '{"status":{}}}'],
    ['a comma too many', '{"status":{},}'],
    ['no end', '{"status":{"a":"}'],
    ['no object', '{"status":[{}]}'],
    ['null', '{"status":null}'],
    ['levels beyond reason', `{"status":{"a":${'['.repeat(600)}${']'.repeat(600)}}}`],
    ['a bad time beside it', '{"status":{},"timestamp":"now"}'],
  ])('is refused when it is %s', (_name, text) => {
    expect(() => read(text)).toThrow();
  });

  it('says the same with and without anything beside the status', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(2), (status, indent) => {
        const text = JSON.stringify({ status }, null, indent);
        const longer = JSON.stringify({ status, more: 1 }, null, indent);
        expect(read(text)).toEqual(read(longer));
        expect(JSON.parse(read(text).status_json)).toEqual(JSON.parse(JSON.stringify(status)));
      }),
    );
  });
});

describe('the body of a batch', () => {
  it('is a list of samples, and of reasons why something is none', () => {
    const at = '2026-01-25T12:00:00Z';
    const samples = `[{"status":{"n":1.0},"timestamp":"${at}"},7,{"timestamp":"${at}","status":[]}]`;
    expect(readBatchBody(Buffer.from(`{"samples":${samples}}`))).toEqual([
      expect.objectContaining({ status_json: '{"n":1.0}', timestamp: Date.parse(at) }),
      expect.stringContaining('must be an object'),
      expect.stringContaining('status: must be a JSON object'),
    ]);
  });
});

describe('a body that is scanned', () => {
  const position = fc.record({ x: fc.double({ noNaN: true }), y: fc.integer() });
  const status = fc.oneof(
    fc.record(
      { battery_level: fc.nat(110), local_position: position, status: fc.string(), é: fc.string() },
      { requiredKeys: [] },
    ),
    fc.dictionary(fc.string(), fc.jsonValue()),
  );
  const mostly = (right: fc.Arbitrary<unknown>, ...rest: unknown[]) =>
    fc.oneof({ weight: 20, arbitrary: right }, fc.constantFrom(...rest));
  const timestamp = mostly(
    fc.oneof(
      fc
        .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
        .map((at) => at.toISOString()),
      fc.integer({ min: 1.2e12, max: 2e12 }),
    ),
    ...['2026-02-30T00:00:00Z', '2026-01-25 12:00:00+01:00', 'now', 12, 1.5e12, null],
  );
  const event_id = mostly(
    fc.oneof(fc.string({ minLength: 1 }), fc.string({ minLength: 1, unit: 'binary' })),
    ...[7, '', null],
  );
  const sample = fc.record({ status, timestamp, event_id }, { requiredKeys: ['status'] });
  const damage = fc.option(
    fc.record({ at: fc.nat(), byte: fc.constantFrom(...Buffer.from('"\\{}[]:,.- e0u\xff')) }),
    { freq: 1 },
  );

  function bytesOf(body: unknown, indent: number, damaged: { at: number; byte: number } | null) {
    const bytes = Buffer.from(JSON.stringify(body, null, indent));
    if (damaged) bytes[1 + (damaged.at % (bytes.length - 1))] = damaged.byte;
    return bytes;
  }
  /** The same body for a parser alone: a scan stops at a name in escapes. */
  function forParser(bytes: Buffer): Buffer {
    return Buffer.concat([Buffer.from('{"\\u0061":0,'), bytes.subarray(1)]);
  }
  function outcomeOf<T>(read: () => T): T | string {
    try {
      return read();
    } catch (error) {
      return (error as Error).message;
    }
  }

  function expectSame<T>(
    body: fc.Arbitrary<unknown>,
    read: (bytes: Buffer) => T,
    scan: (bytes: Buffer) => T | undefined,
    leastScanned: number,
  ): void {
    let scanned = 0;
    fc.assert(
      fc.property(body, fc.nat(2), damage, (sent, indent, damaged) => {
        const bytes = bytesOf(sent, indent, damaged);
        if (scan(bytes)) scanned += 1;
        const parsed = outcomeOf(() => read(forParser(bytes)));
        expect(outcomeOf(() => read(bytes))).toEqual(parsed);
      }),
      { numRuns: 2_000 },
    );
    expect(scanned).toBeGreaterThan(leastScanned);
  }

  it('says what a parser would: a status', () => {
    expectSame(sample, readStatusBody, scanStatusBody, 200);
  });

  it('says what a parser would: a batch', () => {
    const batch = fc.record({ samples: fc.array(sample, { maxLength: 3 }) });
    expectSame(batch, readBatchBody, scanBatchBody, 100);
  });

  it('is left to the parser when it is more than a list of up to 1,000 samples', () => {
    const one = `{"status":{},"timestamp":1700000000000}`;
    const of = (samples: string, more = '') => Buffer.from(`{"samples":[${samples}]${more}}`);
    expect(scanBatchBody(of(one))).toHaveLength(1);
    expect(scanBatchBody(of(Array(1_000).fill(one).join()))).toHaveLength(1_000);
    for (const body of [of(''), of(Array(1_001).fill(one).join()), of(one, ',"more":1')]) {
      expect(scanBatchBody(body)).toBeUndefined();
    }
    expect(() => readBatchBody(of(Array(1_001).fill(one).join()))).toThrow(/samples/);
    expect(readBatchBody(of(one, ',"more":1'))).toEqual(readBatchBody(of(one)));
  });
});
