import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linearRegExp } from '../../src/lib/linear-regexp.js';

describe('linearRegExp', () => {
  it.each([
    ['^[a-z][a-z0-9_]*$', ['a', 'move_to', '', 'A', '1a', 'a b']],
    ['^\\d{3}-\\d{2,4}$', ['123-12', '123-12345', '12-12', '123-1234']],
    ['^(?:dock|base)(_\\d+)?$', ['dock', 'base_12', 'dock_', 'docks']],
    ['b|^$', ['', 'abc', 'ac']],
    ['^(?<name>[^\\]]+)\\]$', ['ab]', ']', 'a']],
    ['\\bstop\\b', ['please stop now', 'stopped', 'stop']],
    ['^.$', ['😀', '\n', 'ab', 'x']],
    ['^\\p{Lu}\\u0041\\x41\\u{1F600}$', ['ÄAA😀', 'äAA😀']],
    ['^\\uD83D\\uDE00$', ['😀', '\ud83d']],
    ['^(a|b){0,2}c{2,}$', ['cc', 'abcc', 'abacc', 'c', 'bccc']],
    ['^(a*)*$', ['', 'aaaa', 'aab']],
    ['^a+?b??$', ['a', 'aab', 'b']],
    ['a{0}', ['', 'a']],
    ['^(?:){99999999}a$', ['', 'a']],
    ['\\.\\/\\$', ['./$', 'x']],
  ])('%s takes what the built-in engine takes', (pattern, texts) => {
    const own = linearRegExp(pattern);
    const builtIn = new RegExp(pattern, 'u');
    expect(texts.map((text) => own.test(text))).toEqual(texts.map((text) => builtIn.test(text)));
  });

  it('agrees with the built-in engine on any pattern and text', () => {
    const atom = fc.constantFrom(
      ...['a', 'b', '.', '[ab]', '[^a]', '\\d', '\\w', '\\W', '^', '$', '\\b', '\\B', '1', ' '],
    );
    const pattern = fc.letrec<{ any: string }>((tie) => ({
      any: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        atom,
        fc.array(tie('any'), { maxLength: 3 }).map((parts) => parts.join('')),
        fc.tuple(tie('any'), tie('any')).map(([one, other]) => `(?:${one}|${other})`),
        fc
          .tuple(tie('any'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '{0,1}', '{2,}', '*?'))
          .map(([part, times]) => `(${part})${times}`),
      ),
    })).any;
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '1', ' ', '\n', 'é'), maxLength: 8 });
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 5 }), (source, texts) => {
        fc.pre(source.length <= 500);
        const builtIn = new RegExp(source, 'u');
        let own: ReturnType<typeof linearRegExp>;
        try {
          own = linearRegExp(source);
        } catch (error) {
          expect((error as Error).message).toContain('repeats too much');
          return;
        }
        for (const one of texts) expect([one, own.test(one)]).toEqual([one, builtIn.test(one)]);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(['^(a+)+$', '^(a|a)*$', '^(a?){50}a{50}$', '^(.*a){20}$', '^([a-zA-Z]+)*$'])(
    '%s is done soon with a text made to be slow',
    (pattern) => {
      const { test } = linearRegExp(pattern);
      const startMs = performance.now();
      expect(test(`${'a'.repeat(5_000)}!`)).toBe(false);
      expect(performance.now() - startMs).toBeLessThan(2_000);
    },
  );

  it.each([
    ['(', 'is not a regular expression'],
    ['a**', 'is not a regular expression'],
    ['\\8', 'is not a regular expression'],
    ['(a)\\1', 'must not refer back to a group'],
    ['(?<n>a)\\k<n>', 'must not refer back to a group'],
    ['a(?=b)', 'must not look ahead or behind'],
    ['a(?!b)', 'must not look ahead or behind'],
    ['(?<=b)a', 'must not look ahead or behind'],
    ['(?<!b)a', 'must not look ahead or behind'],
    ['(a{1000}){1000}', 'repeats too much; it must be simpler'],
    ['a{99999999999}', 'repeats too much; it must be simpler'],
    ['x'.repeat(501), 'must not be longer than 500 characters'],
  ])('refuses %.40s', (pattern, sentence) => {
    expect(() => linearRegExp(pattern)).toThrow(sentence);
  });
});
