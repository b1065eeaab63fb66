import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { STOP, scan, scanEach } from '../../src/lib/json-scan.js';
import {
  anything,
  arrayOf,
  number,
  objectWith,
  type Shape,
  text,
} from '../../src/lib/json-shape.js';

const slots = () => new Float64Array(4).fill(Number.NaN);

/** Whether all of `json` is of the shape, and what was found. */
function scanned(json: string | Buffer, shape: Shape) {
  const bytes = Buffer.from(json as string);
  const found = slots();
  return { accepted: scan(bytes, 0, shape, found) === bytes.length, found };
}
const accepts = (json: string | Buffer, shape = anything()) => scanned(json, shape).accepted;

function parses(json: string): boolean {
  try {
    JSON.parse(json);
    return true;
  } catch {
    return false;
  }
}

describe('a scan for anything', () => {
  const name = fc.string().filter((key) => !JSON.stringify(key).includes('\\'));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      fc.oneof(fc.string({ unit: 'binary' }), fc.double({ noNaN: true }), fc.integer()),
      fc.constantFrom(true, false, null),
      fc.array(tie('value')),
      fc.dictionary(name, tie('value')),
    ),
  }));

  it('accepts whatever JSON.stringify writes', () => {
    fc.assert(
      fc.property(value, fc.constantFrom('', '  ', '\t', '\n\r '), (any, indent) => {
        expect(accepts(JSON.stringify(any, null, indent))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it('accepts nothing that JSON.parse refuses, however a text is damaged', () => {
    const damages = fc.array(
      fc.record({
        at: fc.nat(),
        cut: fc.nat(3),
        put: fc.oneof(
          fc.constantFrom(...'"\\{}[]:,.+-eE0123456789u \n\u0001\u00e9'),
          fc.constantFrom('\\u00', '\\x', 'null', 'tru', '1e', '-', '00', '""', '//', '\u00a0'),
        ),
      }),
      { minLength: 1, maxLength: 3 },
    );
    const count = { good: 0, bad: 0 };
    fc.assert(
      fc.property(value, damages, (any, list) => {
        let json = JSON.stringify(any);
        for (const { at, cut, put } of list) {
          const from = at % (json.length + 1);
          json = json.slice(0, from) + put + json.slice(from + cut);
        }
        const isGood = parses(json);
        count[isGood ? 'good' : 'bad'] += 1;
        if (accepts(json)) expect(isGood).toBe(true);
      }),
      { numRuns: 2_000 },
    );
    expect(Math.min(count.good, count.bad)).toBeGreaterThan(100);
  });

  it.each([
    ...[
      '',
      ' ',
      'nul',
      'nulll',
      'True',
      'undefined',
      'NaN',
      "'a'",
      '"a',
      '"\u0001"',
      '"\n"',
      '"\\',
    ],
    ...[
      '"\\x"',
      '"\\u12g4"',
      '"\\u123',
      '01',
      '-',
      '-01',
      '1.',
      '.5',
      '+1',
      '1e',
      '1e+',
      '1.e1',
      '0x1',
    ],
    ...[
      '[',
      '[1',
      '[1,',
      '[1,]',
      '[,1]',
      '[1 2]',
      '{',
      '{"a"',
      '{"a":',
      '{"a":1',
      '{"a":1,',
      '{"a":1,}',
    ],
    ...['{a:1}', '{"a" 1}', '{"a":1 "b":2}', '{"a":1]', '[1}', '\ufeff1', '1\u00a0', '/**/1'],
  ])('refuses %j', (json) => {
    expect(parses(json)).toBe(false);
    expect(accepts(json)).toBe(false);
  });

  it.each(['"\\"\\\\\\/\\b\\f\\n\\r\\t\\uD83d"', '-0', '0.5e-7', '[ ]', '{ }', '1E+2', '"é€😀"'])(
    'accepts %s',
    (json) => {
      expect(parses(json)).toBe(true);
      expect(accepts(json)).toBe(true);
    },
  );

  it('reads bytes that are no UTF-8 as decoding does: they end no string', () => {
    const broken = [[0xe2], [0xe2, 0x82], [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80]];
    for (const bytes of broken) {
      const json = Buffer.from([0x22, ...bytes, 0x22]);
      expect(accepts(json)).toBe(true);
      expect(parses(json.toString('utf8'))).toBe(true);
    }
  });

  it('stops at deep nesting, and needs no stack for it', () => {
    expect(accepts(`${'['.repeat(20)}${']'.repeat(20)}`)).toBe(true);
    expect(accepts(`${'{"a":'.repeat(1_000_000)}1${'}'.repeat(1_000_000)}`)).toBe(false);
  });
});

describe('a scan for a number', () => {
  const numberIn = (json: string) => scanned(json, number({ slot: 1 })).found[1];

  it('finds the value that JSON.parse does', () => {
    const decimals = fc
      .tuple(fc.boolean(), fc.nat(10 ** 9), fc.integer({ min: 0, max: 10 ** 8 }), fc.nat(12))
      .map(
        ([negative, whole, part, zeros]) =>
          `${negative ? '-' : ''}${whole}.${'0'.repeat(zeros)}${part}`,
      );
    const written = fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .map((n) => JSON.stringify(n));
    fc.assert(
      fc.property(fc.oneof(decimals, written, fc.integer().map(String)), (json) => {
        expect(numberIn(json)).toBe(JSON.parse(json));
      }),
      { numRuns: 5_000 },
    );
    for (const json of ['-0', '0.1', '999999999999999', '9007199254740993', '0.000000000000001']) {
      expect(numberIn(json)).toBe(JSON.parse(json));
    }
  });

  it.each(['1e999', '-1e999', '"1"', 'true', 'null', '[1]', '{}'])('refuses %s', (json) => {
    expect(accepts(json, number())).toBe(false);
  });

  it('keeps to its range, both ends in it', () => {
    const percent = number({ minimum: 0, maximum: 100 });
    expect(['0', '100', '-0', '1e2'].map((json) => accepts(json, percent))).not.toContain(false);
    expect(['-0.1', '100.1', '1e3'].map((json) => accepts(json, percent))).not.toContain(true);
  });
});

describe('a scan for an object', () => {
  const shape = objectWith({
    name: text({ slot: 0 }),
    size: number({ slot: 2, orNull: true }),
    list: arrayOf(objectWith({ n: number() })),
  });

  it('finds its members wherever they stand, and where they start and end', () => {
    const json = '{ "other" : {"name":1} , "size" : 2.5 , "name" : "\\u00e9!" , "more" : [ ] }';
    const { accepted, found } = scanned(json, shape);
    expect(accepted).toBe(true);
    expect(json.slice(found[0], found[1])).toBe('"\\u00e9!"');
    expect(found[2]).toBe(2.5);
  });

  it('leaves the slots of what is not there alone', () => {
    for (const json of ['{}', '{"size":null}', '{"nam":1,"sizes":2,"names":3}']) {
      expect(scanned(json, shape)).toEqual({ accepted: true, found: slots() });
    }
  });

  it.each([
    ['another kind', '{"name":1}'],
    ['null where it must not be', '{"name":null}'],
    ['an element of another kind', '{"list":[{"n":1},{"n":"1"}]}'],
    ['a list of other things', '{"list":[1]}'],
    ['no object', '[{"name":"a"}]'],
    ['a member that stands twice', '{"name":"a","x":1,"name":"b"}'],
    ['a name in escapes', '{"n\\u0061me":1}'],
  ])('refuses %s', (_what, json) => {
    expect(accepts(json, shape)).toBe(false);
  });
});

describe('a scan of each element', () => {
  const each = (json: string, limit = 10) => {
    const found = slots();
    const taken: (number | undefined)[] = [];
    const bytes = Buffer.from(json);
    const end = scanEach(bytes, 0, objectWith({ n: number({ slot: 0 }) }), found, () => {
      return taken.push(found[0]) < limit;
    });
    return { end, taken };
  };

  it('tells each as it is found, and where the list ends', () => {
    expect(each('[ {"n":1} , {"n":2} ] more')).toEqual({ end: 21, taken: [1, 2] });
    expect(each('[]')).toEqual({ end: 2, taken: [] });
  });

  it('stops where an element is none, or when it is told to', () => {
    expect(each('[{"n":1},2]')).toEqual({ end: STOP, taken: [1] });
    expect(each('[{"n":1},{"n":2}]', 1)).toEqual({ end: STOP, taken: [1] });
    expect(each('{"n":1}')).toEqual({ end: STOP, taken: [] });
  });
});
