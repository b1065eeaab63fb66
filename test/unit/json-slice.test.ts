import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elementTexts, memberText } from '../../src/lib/json-slice.js';

describe('memberText', () => {
  test.each([
    ['{"status":{"n":12345678901234567890}}', '{"n":12345678901234567890}'],
    [' { "a" : [1,"]}"] , "status" : { "x" : 1.0 } } ', '{ "x" : 1.0 }'],
    ['{"status":1,"status":{"last":true}}', '{"last":true}'],
    ['{"st\\u0061tus":{}}', '{}'],
    ['{"x":{"status":1},"status":"a\\\\\\"b"}', '"a\\\\\\"b"'],
    ['{"status":-1.5e3}', '-1.5e3'],
    ['{}', undefined],
    ['{"x":{"status":1}}', undefined],
  ])('%s', (json, expected) => {
    expect(memberText(json, 'status')).toBe(expected);
  });

  test('agrees with JSON.parse on any object', () => {
    const json = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(json, fc.nat(3), (object, indent) => {
        const text = JSON.stringify(object, null, indent);
        for (const [key, value] of Object.entries(object)) {
          expect(JSON.parse(memberText(text, key) ?? 'null')).toEqual(value);
        }
      }),
    );
  });
});

test('elementTexts agrees with JSON.parse on any array', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.nat(3), (array, indent) => {
      const text = JSON.stringify(array, null, indent);
      expect(elementTexts(text).map((element) => JSON.parse(element))).toEqual(
        JSON.parse(JSON.stringify(array)),
      );
    }),
  );
});
