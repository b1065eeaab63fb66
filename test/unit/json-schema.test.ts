import { describe, expect, it } from 'vitest';
import { DomainError } from '../../src/lib/errors.js';
import { createJsonSchemas } from '../../src/lib/json-schema.js';

const schemas = createJsonSchemas();
const judge = (schema: unknown, value: unknown) => schemas.compile(schema).validate(value);

function refusalOf(schema: unknown, name?: string): DomainError {
  try {
    schemas.compile(schema, name);
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  return expect.unreachable('the schema was taken');
}

describe('values and their schema', () => {
  const speed = {
    type: 'object',
    required: ['speed'],
    additionalProperties: false,
    properties: {
      speed: { type: 'number', exclusiveMinimum: 0 },
      mode: { enum: ['eco', 'fast'] },
      unit: { const: 'm/s' },
      legs: { type: 'array', items: { $ref: '#/$defs/leg' } },
      name: { type: 'string', pattern: '^[a-z]+$' },
      at: { type: 'string', format: 'date-time' },
    },
    $defs: { leg: { type: 'object', properties: { 'a/b': { type: 'integer' } } } },
  };

  it.each([
    [{ speed: 1 }, []],
    [{ speed: 1, legs: [{ 'a/b': 1 }], name: 'x', at: '2026-01-25T12:00:00Z' }, []],
    [{}, [{ path: '', message: "must have required property 'speed'" }]],
    [{ speed: 0 }, [{ path: 'speed', message: 'must be > 0' }]],
    [{ speed: '1' }, [{ path: 'speed', message: 'must be number' }]],
    [{ speed: 1, mode: 'x' }, [{ path: 'mode', message: 'must be one of "eco", "fast"' }]],
    [{ speed: 1, unit: 'km/h' }, [{ path: 'unit', message: 'must be "m/s"' }]],
    [{ speed: 1, toString: 1 }, [{ path: '', message: 'must not have the property "toString"' }]],
    [
      { speed: 1, legs: [{}, { 'a/b': 'x' }] },
      [{ path: 'legs.1.a/b', message: 'must be integer' }],
    ],
    [{ speed: 1, name: 'A' }, [{ path: 'name', message: 'must match pattern "^[a-z]+$"' }]],
    [{ speed: 1, at: 'now' }, [{ path: 'at', message: 'must match format "date-time"' }]],
    [[], [{ path: '', message: 'must be object' }]],
    [null, [{ path: '', message: 'must be object' }]],
  ])('%j', (value, issues) => {
    expect(judge(speed, value)).toEqual(issues);
  });

  it('sees own members alone', () => {
    const schema = { type: 'object', required: ['toString', 'constructor'] };
    expect(judge(schema, {})).toHaveLength(1);
    expect(judge(schema, JSON.parse('{"toString":1,"constructor":1}'))).toEqual([]);
  });

  it('changes no value', () => {
    const value = { a: '1' };
    judge({ properties: { a: {}, b: { default: 2 } } }, value);
    expect(value).toEqual({ a: '1' });
  });

  it('keeps to the draft that the schema names', () => {
    const pair = (draft: string) => ({ $schema: draft, items: [{ type: 'string' }] });
    expect(judge(pair('http://json-schema.org/draft-07/schema#'), [1])).toHaveLength(1);
    expect(judge({ prefixItems: [{ type: 'string' }] }, [1])).toHaveLength(1);
    expect(refusalOf(pair('https://json-schema.org/draft/2020-12/schema')).message).toMatch(
      /^schema\.items: /,
    );
    expect(refusalOf(pair('http://json-schema.org/draft-04/schema#')).message).toBe(
      'schema.$schema: must be that of draft 2020-12 or draft 7',
    );
  });

  it('goes on however many schemas there have been', () => {
    for (let n = 0; n < 500; n += 1) {
      expect(judge({ type: 'integer', minimum: n }, n)).toEqual([]);
      expect(judge({ type: 'integer', minimum: n }, n - 1)).toHaveLength(1);
    }
    expect(judge({ type: 'integer', minimum: 0 }, -1)).toHaveLength(1);
  });
});

describe('schemas that are refused', () => {
  const deep = (levels: number): unknown => (levels === 0 ? {} : { not: deep(levels - 1) });
  const doubling = Object.fromEntries(
    Array.from({ length: 30 }, (_, n) => [
      `d${n}`,
      { anyOf: [{ $ref: `#/$defs/d${n + 1}` }, { $ref: `#/$defs/d${n + 1}` }] },
    ]),
  );
  it.each([
    ['no object', [], 'schema: must be a JSON Schema, which is an object'],
    ['nothing', undefined, 'schema: must be a JSON Schema, which is an object'],
    ['a type that is none', { type: 'strng' }, /^schema\.type: must be/],
    ['a keyword that is none', { requred: ['x'] }, /unknown keyword: "requred"/],
    ['an unknown format', { format: 'colour' }, /unknown format "colour"/],
    ['a format that compiles', { format: 'regex' }, /unknown format "regex"/],
    [
      'a remote reference',
      { properties: { a: { $ref: 'https://example.com/s.json' } } },
      'schema.properties.a.$ref: must refer to a part of this schema, such as #/$defs/x',
    ],
    ['a file', { $ref: 'file:///etc/passwd' }, /must refer to a part of this schema/],
    [
      'a reference to nothing',
      { $ref: '#/$defs/a' },
      'schema.$ref: refers to #/$defs/a, which is not there',
    ],
    ['a member of the prototype', { $ref: '#/constructor' }, /which is not there/],
    [
      'itself',
      { properties: { a: { $ref: '#' } } },
      'schema.properties.a: must not contain itself',
    ],
    [
      'a circle',
      {
        $defs: { a: { items: { $ref: '#/$defs/b' } }, b: { items: { $ref: '#/$defs/a' } } },
        $ref: '#/$defs/a',
      },
      /must not contain itself/,
    ],
    ['an id', { $id: 'https://example.com/x' }, /^schema\.\$id: is not supported/],
    ['a dynamic reference', { $dynamicRef: '#a' }, /^schema\.\$dynamicRef: is not supported/],
    ['a pattern that is none', { pattern: '(' }, 'schema.pattern: is not a regular expression'],
    ['a pattern that looks back', { pattern: '(a)\\1' }, /^schema\.pattern: must not refer back/],
    [
      'such a pattern of names',
      { patternProperties: { '(?=a)': {} } },
      'schema.patternProperties: must not look ahead or behind',
    ],
    ['unbounded comparing', { uniqueItems: true }, /^schema\.uniqueItems: needs maxItems/],
    ['depth', deep(50), 'schema: must not be nested deeper than 40 levels'],
    [
      'doubling',
      { $defs: { ...doubling, d30: {} }, $ref: '#/$defs/d0' },
      /must not have more than 2000 parts/,
    ],
    [
      'many parts',
      { allOf: Array.from({ length: 3_000 }, () => ({})) },
      /must not have more than 2000 parts/,
    ],
    [
      'length',
      { description: 'x'.repeat(70_000) },
      'schema: must not be longer than 65536 characters',
    ],
    [
      'another dialect inside',
      { not: { $schema: 'x' } },
      'schema.not.$schema: must stand at the top alone',
    ],
  ])('%s', (_what, schema, sentence) => {
    const startMs = performance.now();
    const { code, message, details } = refusalOf(schema);
    expect(performance.now() - startMs).toBeLessThan(500);
    expect(code).toBe('invalid_input');
    if (sentence instanceof RegExp) expect(message).toMatch(sentence);
    else expect(message).toBe(sentence);
    expect(details.issues).toHaveLength(1);
  });

  it('names the schema as its caller does', () => {
    expect(refusalOf({ type: 1 }, 'parameters_schema').details.issues?.[0]?.path).toBe(
      'parameters_schema.type',
    );
  });

  it('takes time that a hostile pattern cannot stretch', () => {
    const startMs = performance.now();
    expect(judge({ pattern: '^(a+)+$' }, `${'a'.repeat(20_000)}!`)).toHaveLength(1);
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });
});
