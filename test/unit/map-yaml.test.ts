import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMapYaml } from '../../src/lib/map-yaml.js';

const VALID = {
  image: 'office.pgm',
  resolution: '0.05',
  origin: '[-10.0, -12.5, 0.25]',
  negate: '0',
  occupied_thresh: '0.65',
  free_thresh: '0.25',
};

/** The YAML with some fields written otherwise; null leaves one out. */
function yaml(changes: Record<string, string | null> = {}): string {
  return Object.entries({ ...VALID, ...changes })
    .filter(([, value]) => value !== null)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}

function readYaml(text: string) {
  const result = parseMapYaml(text);
  return 'value' in result ? result.value : expect.unreachable(JSON.stringify(result.issues));
}

function issuesOf(text: string): Record<string, string> {
  const result = parseMapYaml(text);
  if (!('issues' in result)) return expect.unreachable('was read');
  return Object.fromEntries(result.issues.map(({ path, message }) => [path, message]));
}

describe('the YAML of a map', () => {
  it('is read', () => {
    const text = readFileSync(join(import.meta.dirname, '../fixtures/maps/map.yaml'), 'utf8');
    expect(readYaml(text)).toEqual({
      resolution: 0.05,
      origin: [-10, -12.5, 0.25],
      negate: false,
      occupied_thresh: 0.65,
      free_thresh: 0.25,
      mode: 'trinary',
    });
  });

  it.each([
    [{ mode: 'scale' }, { mode: 'scale' }],
    [{ mode: 'raw' }, { mode: 'raw' }],
    [{ negate: '1' }, { negate: true }],
    [{ negate: 'true' }, { negate: true }],
    [{ negate: 'false' }, { negate: false }],
    [{ resolution: '5e-2' }, { resolution: 0.05 }],
    [{ origin: '\n- 1\n- 2\n- 3' }, { origin: [1, 2, 3] }],
    [{ origin: '&o [0, 0, 0]', other: '*o' }, { origin: [0, 0, 0] }],
    [{ unknown: '{ a: [1, 2] }' }, { resolution: 0.05 }],
    [
      { occupied_thresh: '1', free_thresh: '0' },
      { occupied_thresh: 1, free_thresh: 0 },
    ],
    [{ image: '"/etc/passwd"' }, { resolution: 0.05 }],
  ])('takes %j', (changes, expected) => {
    expect(readYaml(yaml(changes as Record<string, string>))).toMatchObject(expected);
  });

  it.each([
    [{ image: '5' }, { image: 'must be the name of the image file' }],
    [{ image: "''" }, { image: 'must not be empty' }],
    [{ resolution: '0' }, { resolution: 'must be above 0' }],
    [{ resolution: '-0.05' }, { resolution: 'must be above 0' }],
    [{ resolution: '.inf' }, { resolution: 'must be the metres of a pixel' }],
    [{ resolution: '.nan' }, { resolution: 'must be the metres of a pixel' }],
    [{ resolution: '0.05m' }, { resolution: 'must be the metres of a pixel' }],
    [{ resolution: '' }, { resolution: 'must be the metres of a pixel' }],
    [{ origin: '[0, 0]' }, { origin: 'must be three numbers, [x, y, yaw]' }],
    [{ origin: '[0, 0, 0, 0]' }, { origin: 'must be three numbers, [x, y, yaw]' }],
    [{ origin: '0' }, { origin: 'must be three numbers, [x, y, yaw]' }],
    [
      { origin: '[0, .nan, a]' },
      { 'origin.1': 'must be a number', 'origin.2': 'must be a number' },
    ],
    [{ negate: '2' }, { negate: 'must be 0, 1, true or false' }],
    [{ negate: 'maybe' }, { negate: 'must be 0, 1, true or false' }],
    [{ occupied_thresh: '1.1' }, { occupied_thresh: 'must be from 0 to 1' }],
    [{ free_thresh: '-0.1' }, { free_thresh: 'must be from 0 to 1' }],
    [{ free_thresh: '0.65' }, { free_thresh: 'must be below occupied_thresh (0.65)' }],
    [{ free_thresh: '0.7' }, { free_thresh: 'must be below occupied_thresh (0.65)' }],
    [{ mode: 'colour' }, { mode: 'must be trinary, scale or raw' }],
    [{ mode: '' }, { mode: 'must be trinary, scale or raw' }],
  ])('names what is wrong in %j', (changes, issues) => {
    expect(issuesOf(yaml(changes as Record<string, string>))).toEqual(issues);
  });

  it.each(Object.keys(VALID))('needs %s', (field) => {
    expect(issuesOf(yaml({ [field]: null }))).toEqual({ [field]: 'is missing' });
  });

  it('names everything at once', () => {
    expect(issuesOf('origin: [1]\nnegate: 7\noccupied_thresh: 0.2\nfree_thresh: 0.4\n')).toEqual({
      image: 'is missing',
      resolution: 'is missing',
      origin: 'must be three numbers, [x, y, yaw]',
      negate: 'must be 0, 1, true or false',
      free_thresh: 'must be below occupied_thresh (0.2)',
    });
  });

  it.each([
    ['', /must be a list of keys and values/],
    ['[1, 2]', /must be a list of keys and values/],
    ['just text', /must be a list of keys and values/],
    ['a: [', /is not valid YAML at character \d+: /],
    ['a: 1\na: 2', /is not valid YAML at character \d+: .*unique/],
    ['a: 1\n---\nb: 2', /is not valid YAML/],
    ['a: *b', /is not valid YAML|without its anchor/],
    [`${yaml()}\0`, /must not hold a NUL character/],
    [`a: &a [x]\n${'b: *a\n'.repeat(1).concat(bomb())}`, /aliases|far longer/],
    ['#'.repeat(70_000), /must have at most 64 KiB/],
    ['ü'.repeat(40_000), /must have at most 64 KiB/],
    ['['.repeat(60_000), /far longer/],
    ['{a: '.repeat(1_000), /far longer/],
    ['- '.repeat(1_000), /far longer/],
    ['? '.repeat(1_000), /far longer/],
    ['a: 1\n'.repeat(2_000), /far longer/],
  ])('refuses %# as a whole', (text, problem) => {
    expect(issuesOf(text)['']).toMatch(problem);
  });

  it('takes nothing from the prototype', () => {
    expect(Object.keys(issuesOf('__proto__: { resolution: 1 }\n'))).toContain('resolution');
    expect(({} as Record<string, unknown>).resolution).toBeUndefined();
  });

  it('answers within a bound, whatever the text', () => {
    const token = fc.constantFrom(
      ...['[', ']', '{', '}', '- ', '? ', ': ', ', ', '\n', ' ', '  ', '&a ', '*a ', '!!binary '],
      ...['!!set ', '!x ', '"', "'", '|\n', '>-\n', '#', '---\n', '...\n', '%YAML 1.1\n', '<<: '],
      ...['a', '0', '.nan', '~', '\t', '\r', '\ufeff', '\u2028', '`', '@', '=', 'origin: '],
    );
    const soup = fc
      .tuple(fc.array(token, { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 4_000 }))
      .map(([tokens, times]) => tokens.join('').repeat(times).slice(0, 65_536));
    fc.assert(
      fc.property(fc.oneof(soup, fc.string({ unit: 'binary' })), (text) => {
        const started = performance.now();
        const result = parseMapYaml(text);
        expect(performance.now() - started).toBeLessThan(1_000);
        expect('value' in result || result.issues.length > 0).toBe(true);
      }),
      { numRuns: 1_500 },
    );
  });
});

/** Nine lines that stand for a billion values. */
function bomb(): string {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  return names
    .slice(1)
    .map((name, index) => {
      const alias = `*${names[index]}`;
      return `x${name}: &${name} [${Array(9).fill(alias).join(', ')}]\n`;
    })
    .join('');
}
