import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  readBatchBody,
  readStatusBody,
} from '../../src/rest-adapter/surfaces/kairoio-status-body.js';

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
