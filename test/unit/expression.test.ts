import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileExpression, ExpressionError } from '../../src/lib/expression.js';

const STATUS = {
  battery_level: 15,
  charging: false,
  mode: 'auto',
  error: null,
  navigation: { goal: { distance: 2.5 } },
  motors: [{ temperature: 40 }, { temperature: 85, 'max rpm': 3_000 }],
  'own key': 'x',
  presence: 'hidden',
  $dollar: 1,
  größe: 7,
};

function test(text: string, root: unknown = STATUS): boolean | undefined {
  return compileExpression(text, ['presence']).test({ root, variables: { presence: 'online' } });
}

function problemOf(text: string): string {
  try {
    compileExpression(text, ['presence']);
  } catch (error) {
    expect(error).toBeInstanceOf(ExpressionError);
    return (error as ExpressionError).message;
  }
  return expect.unreachable(`${text} is understood`);
}

describe('an expression', () => {
  it.each<[string, boolean]>([
    ['battery_level < 20', true],
    ['battery_level < 15', false],
    ['battery_level <= 15', true],
    ['battery_level > 14.5', true],
    ['battery_level >= 15.5', false],
    ['battery_level == 15', true],
    ['battery_level != 15', false],
    ['battery_level == "15"', false],
    ['20 > battery_level', true],
    ["mode == 'auto'", true],
    ['mode < "b"', true],
    ['charging', false],
    ['!charging', true],
    ['not charging', true],
    ['NOT charging AND battery_level < 20', true],
    ['error == null', true],
    ['error != null', false],
    ['charging == false', true],
    ['battery_level < 20 and charging', false],
    ['battery_level < 20 && !charging', true],
    ['charging or mode == "auto"', true],
    ['charging || mode == "manual"', false],
    ['true or charging and charging', true],
    ['(true or charging) and charging', false],
    ['not battery_level < 10', true],
    ['not battery_level < 20 or true', true],
    ['not (battery_level < 20 and not charging)', false],
    ['not not charging', false],
    ['navigation.goal.distance > 2', true],
    ['navigation["goal"].distance > 3', false],
    ['motors[1].temperature >= 80', true],
    ["motors[1]['max rpm'] == 3e3", true],
    ['motors.length == 2', true],
    ['$["own key"] == "x"', true],
    ['$.presence == "hidden"', true],
    ['presence == "online"', true],
    ['$dollar == 1', true],
    ['größe == 7', true],
    ['battery_level + 5 == 20', true],
    ['battery_level - 5 * 2 == 5', true],
    ['(battery_level - 5) * 2 == 20', true],
    ['battery_level / 2 > 7.4', true],
    ['-battery_level == -15', true],
    ['1 - -1 == 2', true],
    ['.5 < 1.', true],
    ['battery_level<20&&(charging==false)and(true)', true],
    ['\tbattery_level\n<\r\n20 ', true],
  ])('%s is %s', (text, holds) => {
    expect(test(text)).toBe(holds);
  });

  it.each([
    'missing < 20',
    'missing == 20',
    'missing != 20',
    'missing == null',
    'not missing',
    'not (missing < 20)',
    'navigation.gaol.distance > 2',
    'motors[2].temperature > 0',
    'mode.length > 0',
    'mode < 20',
    'error < 20',
    'charging < mode',
    'battery_level',
    'mode',
    'navigation',
    'mode + 1 == 2',
    'battery_level / 0 > 1',
    'missing and battery_level < 20',
    'missing or charging',
  ])('cannot say whether %s', (text) => {
    expect(test(text)).toBeUndefined();
  });

  it('says what one side decides alone, whatever the other would be', () => {
    expect(test('missing and charging')).toBe(false);
    expect(test('charging and missing')).toBe(false);
    expect(test('missing or not charging')).toBe(true);
    expect(test('not charging or missing')).toBe(true);
  });

  it.each([
    '__proto__ != null',
    'constructor != null',
    'toString != null',
    '$.constructor != null',
    'navigation.__proto__ != null',
    'navigation["constructor"].name == "Object"',
    'motors.map != null',
    'motors["__proto__"] != null',
    'mode.constructor != null',
    'presence.length > 0',
  ])('sees nothing of the prototype: %s', (text) => {
    expect(test(text)).toBeUndefined();
  });

  it('sees members of any name that are there', () => {
    const root = JSON.parse('{"__proto__":{"a":1},"constructor":2,"hasOwnProperty":3}');
    expect(test('__proto__.a == 1 and constructor == 2 and hasOwnProperty == 3', root)).toBe(true);
  });

  it.each([null, 1, 'text', true, []])('finds nothing in %j', (root) => {
    expect(test('battery_level < 20', root)).toBeUndefined();
  });

  it.each<[string, string]>([
    ['', 'column 1: expected a condition, but it ends here'],
    ['   ', 'column 4: expected a condition, but it ends here'],
    [
      'battery_level = 20',
      'column 15: expected an operator such as <, == or and, but found "= 20"; to compare, write ==',
    ],
    ['battery_level === 20', 'column 15: "===" is not known here; use =='],
    ['battery_level !== 20', 'column 15: "!==" is not known here; use !='],
    ['battery_level <', 'column 16: Expected expression after <'],
    ['battery_level 20', 'column 15: expected an operator such as <, == or and, but found "20"'],
    ['a < 1, b < 2', 'column 6: expected an operator such as <, == or and, but found ", b < 2"'],
    ['(a < 1', 'column 7: expected ")", but it ends here'],
    ['(a < 1, b)', 'column 7: expected ")", but found ", b)"'],
    ['()', 'column 2: expected ")", but found ")"'],
    ['a < 1)', 'column 6: expected an operator such as <, == or and, but found ")"'],
    ['a % 2 == 0', 'column 3: "%" is not known here; use + - * / == != < <= > >= and or not'],
    ['a ** 2 > 1', 'column 3: "**" is not known here; use + - * / == != < <= > >= and or not'],
    ['a ?? b', 'column 3: "??" is not known here; use + - * / == != < <= > >= and or not'],
    ['a & b', 'column 3: "&" is not known here; use + - * / == != < <= > >= and or not'],
    ['~a == 1', 'column 1: "~" is not known here'],
    ['+a == 1', 'column 1: "+" is not known here'],
    ['a ? b : c', 'column 1: is more than a condition may hold'],
    ['a?.b', 'column 1: write . instead of ?.'],
    ['a()', 'column 2: nothing can be called here'],
    ['a.b(1)', 'column 4: nothing can be called here'],
    ['x < max(1, 2)', 'column 8: nothing can be called here'],
    ['[1] == a', 'column 1: lists cannot be written here'],
    ['this.a == 1', 'column 1: only a field can be looked into'],
    ['a == this', 'column 6: "this" is not known here; $ is the whole'],
    ['"a".length == 1', 'column 1: only a field can be looked into'],
    ['a[b] == 1', 'column 1: in [ ] must be a text or a number from 0'],
    ['a[-1] == 1', 'column 1: in [ ] must be a text or a number from 0'],
    ['a[0.5] == 1', 'column 1: in [ ] must be a text or a number from 0'],
    ['a[] == 1', 'column 3: Unexpected "]"'],
    ['a == True', 'column 6: write true instead of True'],
    ['a == NULL', 'column 6: write null instead of NULL'],
    ['a and and b', 'column 7: expected a value, but found "and b"'],
    ['not', 'column 4: expected a condition after not, but it ends here'],
    ['a not b', 'column 3: expected an operator such as <, == or and, but found "not b"'],
    ['"open', 'column 6: Unclosed quote after "open"'],
    ['1e999 < a', 'column 1: this number is too large'],
    ['1a < 2', 'column 2: Variable names cannot start with a number (1a)'],
    [
      'battery_level\u00a0< 20',
      'column 1: "battery_level\u00a0" is no name; write $["…"] for such a field',
    ],
    ['20', 'column 1: expected a condition, but this is a number'],
    ['"text"', 'column 1: expected a condition, but this is a text'],
    ['null', 'column 1: expected a condition, but this is null'],
    ['a + 1', 'column 1: expected a condition, but this is a number'],
    ['a < 1 and 2', 'column 11: expected a condition, but this is a number'],
    ['!5', 'column 2: expected a condition, but this is a number'],
    [
      '0 < a < 10',
      'column 1: < compares numbers or texts, but this is true or false; join comparisons with and',
    ],
    [
      '!a < 10',
      'column 1: < compares numbers or texts, but this is true or false; join comparisons with and',
    ],
    ['a < null', 'column 5: < compares numbers or texts, but this is null'],
    ['1 < "a"', 'column 5: < cannot compare a number with a text'],
    ['a + "b" == 1', 'column 5: + needs a number, but this is a text'],
    ['-true == 1', 'column 2: - needs a number, but this is true or false'],
  ])('says what is wrong with %j', (text, problem) => {
    expect(problemOf(text)).toBe(problem);
  });

  it('holds 1,000 characters and 50 levels, and no more', () => {
    const padded = (length: number) => 'battery_level < 20'.padEnd(length);
    expect(test(padded(1_000))).toBe(true);
    expect(problemOf(padded(1_001))).toBe('column 1001: is longer than 1000 characters');
    const nested = (levels: number) => `${'('.repeat(levels)}charging${')'.repeat(levels)}`;
    expect(test(nested(49))).toBe(false);
    expect(problemOf(nested(50))).toBe('column 51: is nested deeper than 50 levels');
    expect(problemOf('!'.repeat(999))).toBe('column 51: is nested deeper than 50 levels');
    expect(problemOf('not '.repeat(249))).toBe('column 201: is nested deeper than 50 levels');
    expect(problemOf('a['.repeat(499))).toBe('column 101: is nested deeper than 50 levels');
    const chain = Array.from({ length: 100 }, () => 'charging').join(' or ');
    expect(test(`${chain.slice(0, 900).replace(/ or \w*$/, '')} or true`)).toBe(true);
  });

  it('shows what it looked at, each path once, without what is missing or no plain value', () => {
    const text =
      'battery_level < 20 and battery_level > 1 and motors[1]["max rpm"] > 0 and missing == 1 and navigation != null ' +
      'and presence == "online" and $["own key"] == mode and error == null';
    const values = compileExpression(text, ['presence']).values({
      root: { ...STATUS, mode: 'x'.repeat(500) },
      variables: { presence: 'online' },
    });
    expect(values).toEqual({
      battery_level: 15,
      'motors[1]["max rpm"]': 3_000,
      presence: 'online',
      '$["own key"]': 'x',
      mode: 'x'.repeat(200),
      error: null,
    });
  });

  it('knows which variables it looks at', () => {
    const variables = (text: string) => [...compileExpression(text, ['presence']).variables];
    expect(variables('presence == "offline"')).toEqual(['presence']);
    expect(variables('$.presence == "offline" and a.presence == 1')).toEqual([]);
  });

  const words = fc.constantFrom(
    ...['battery_level', 'motors', 'charging', 'and', 'or', 'not', 'true', 'null', 'this', '$'],
    ...['__proto__', 'constructor', '(', ')', '[', ']', '.', '?.', ',', ';', ':', '?', '=', '=='],
    ...['===', '!=', '<', '<=', '>', '>=', '+', '-', '*', '/', '%', '**', '!', '~', '&&', '||'],
    ...['&', '|', '??', '=>', '`', '"', "'", '\\', '"a"', "'b'", '0', '1.5', '1e', '1e9', '.5'],
    ...[' ', '\n', '\u00a0', '\u0000', 'ü', '😀', '\ud800', '#', '@', '//', '/*'],
  );
  const soup = fc.array(fc.oneof(words, fc.string({ unit: 'binary', maxLength: 3 })), {
    maxLength: 400,
  });

  it('is understood or refused with a place, whatever the text', () => {
    fc.assert(
      fc.property(soup, fc.boolean(), fc.jsonValue(), (parts, isSpaced, root) => {
        const text = parts.join(isSpaced ? ' ' : '');
        try {
          const { test: judge, values } = compileExpression(text, ['presence']);
          const scope = { root, variables: { presence: 'online' } };
          expect([true, false, undefined]).toContain(judge(scope));
          expect(() => JSON.stringify(values(scope))).not.toThrow();
        } catch (error) {
          if (!(error instanceof ExpressionError)) throw error;
          expect(error.column).toBeGreaterThanOrEqual(1);
          expect(error.column).toBeLessThanOrEqual(Math.max(1, text.length + 1));
        }
      }),
      { numRuns: 5_000 },
    );
  });

  it('says the same as JavaScript of values that are there', () => {
    const number = fc.integer({ min: -20, max: 20 });
    const comparison = fc
      .tuple(
        fc.constantFrom('a', 'b', 'c.d', 'e[1]'),
        fc.constantFrom('<', '<=', '>', '>=', '==', '!='),
        number.map((n) => (n < 0 ? `(${n})` : `${n}`)),
      )
      .map((parts) => parts.join(' '));
    const { any } = fc.letrec<{ any: string }>((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        comparison,
        fc.tuple(tie('any'), fc.constantFrom('&&', '||'), tie('any')).map((p) => p.join(' ')),
        tie('any').map((inner) => `!(${inner})`),
        tie('any').map((inner) => `(${inner})`),
      ),
    }));
    fc.assert(
      fc.property(any, number, number, number, number, (text, a, b, d, e) => {
        fc.pre(text.length <= 900);
        const root = { a, b, c: { d }, e: [0, e] };
        const expected = new Function('a', 'b', 'c', 'e', `return ${text}`);
        expect(test(text, root)).toBe(expected(root.a, root.b, root.c, root.e));
        const inWords = text
          .replaceAll('&&', 'and')
          .replaceAll('||', 'or')
          .replaceAll('!(', 'not (');
        expect(test(inWords, root)).toBe(test(text, root));
      }),
      { numRuns: 500 },
    );
  });
});
