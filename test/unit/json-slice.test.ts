import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memberText, memberTexts } from '../../src/lib/json-slice.js';

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
    ['["status",{}]', undefined],
  ])('%s', (json, expected) => {
    expect(memberText(json, 'status')).toBe(expected);
  });

  test.each([
    ['deep', `${'[{"]}":'.repeat(200)}"{["${'}]'.repeat(200)}`],
    ['long', `{"a":"${'}'.repeat(1_200_000)}","b":[[[["]"]]]]}`],
    ['wide', `{"a":[${'{"b":["}",[[[[[1]]]]]]},'.repeat(1_000)}1]}`],
  ])('finds the end of what is %s', (_name, value) => {
    expect(memberText(`{"a":{},"status":${value},"z":[{}]}`, 'status')).toBe(value);
  });

  test('agrees with JSON.parse on any object', () => {
    const json = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(json, fc.nat(3), (object, indent) => {
        const text = JSON.stringify(object, null, indent);
        for (const [key, value] of Object.entries(JSON.parse(text))) {
          expect(JSON.parse(memberText(text, key) ?? 'null')).toEqual(value);
        }
      }),
    );
  });
});

describe('memberTexts', () => {
  test('agrees with JSON.parse on any list of anything', () => {
    const item = fc.oneof(
      fc.jsonValue(),
      fc.record({ s: fc.jsonValue() }),
      fc.dictionary(fc.string(), fc.jsonValue()),
    );
    fc.assert(
      fc.property(fc.array(item), fc.jsonValue(), fc.nat(3), (list, other, indent) => {
        const text = JSON.stringify({ a: other, list, z: other }, null, indent);
        const parsed = JSON.parse(text).list as { s?: unknown }[];
        const expected = parsed.map((element) =>
          element !== null && typeof element === 'object' && !Array.isArray(element)
            ? element.s
            : undefined,
        );
        const texts = memberTexts(text, 'list', 's');
        expect(texts.map((part) => (part === undefined ? undefined : JSON.parse(part)))).toEqual(
          expected,
        );
      }),
    );
  });

  test.each([
    [
      '{"list":[1],"list":[{"s":1.0,"s":2.50},"{",null,[{"s":1}]]}',
      ['2.50', undefined, undefined, undefined],
    ],
    ['{"list":{"s":1}}', []],
    ['{}', []],
    ['[{"s":1}]', []],
  ])('%s', (json, expected) => {
    expect(memberTexts(json, 'list', 's')).toEqual(expected);
  });
});
