import {
  ANYTHING,
  ARRAY,
  anything,
  type Member,
  NUMBER,
  OBJECT,
  type Shape,
  TEXT,
} from './json-shape.js';

/**
 * JSON checked as bytes of UTF-8 without making values of it, in half the time of `JSON.parse`, for what is stored as it was
 * written. All that is accepted is JSON (RFC 8259) of the shape that was asked for, and `JSON.parse` reads it the same way.
 * What is rare is refused too (names that are looked for with escapes or twice, deep nesting): where a scan stops, only
 * `JSON.parse` can tell what is there.
 */

/** Where a scan notes what it finds, by slot. The slots of what is not there are left alone. */
export type Found = Float64Array;

export const STOP = -1;

const ANY = anything();
/** Deeper than anything that is looked for, and no danger to the stack. */
const LEVELS = 32;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const LOWER_CASE = 0x20;
const LOWER_E = 0x65;
const LOWER_U = 0x75;

const NULL = Buffer.from('null');
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const ESCAPED = new Set(Buffer.from('"\\/bfnrt'));

/** Bytes that stand for themselves in a string: 1, others 0. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= SPACE && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
);

/** Where the value that starts at `at` ends; STOP if it is not of this shape. */
export function scan(
  bytes: Buffer,
  at: number,
  shape: Shape,
  found: Found,
  levels = LEVELS,
): number {
  const { kind, slot } = shape;
  const first = bytes[at] as number;
  let end = STOP;
  if (first === QUOTE) {
    if (kind === TEXT || kind === ANYTHING) end = scanString(bytes, at);
  } else if (first === OPEN_OBJECT) {
    if (kind === OBJECT || kind === ANYTHING) end = scanObject(bytes, at, shape, found, levels);
  } else if (first === OPEN_ARRAY) {
    if (kind === ARRAY || kind === ANYTHING) end = scanArray(bytes, at, shape, found, levels);
  } else if (first === MINUS || isDigit(first)) {
    if (kind === NUMBER) return scanNumber(bytes, at, shape, found);
    if (kind === ANYTHING) end = scanNumber(bytes, at, shape, found);
  } else if (first === NULL[0]) {
    return shape.orNull ? scanWord(bytes, at, NULL) : STOP;
  } else if (kind === ANYTHING) {
    end = scanWord(bytes, at, first === TRUE[0] ? TRUE : FALSE);
  }
  if (slot >= 0) {
    found[slot] = at;
    found[slot + 1] = end;
  }
  return end;
}

/**
 * Scans the elements of an array, and calls `take` when what was found in one is noted; it answers whether to go on. Where
 * the array ends, or STOP.
 */
export function scanEach(
  bytes: Buffer,
  at: number,
  element: Shape,
  found: Found,
  take: () => boolean,
): number {
  return bytes[at] === OPEN_ARRAY ? scanElements(bytes, at, element, found, LEVELS, take) : STOP;
}

export function skipSpace(bytes: Buffer, at: number): number {
  return (bytes[at] as number) > SPACE ? at : skipSpaces(bytes, at);
}

function skipSpaces(bytes: Buffer, at: number): number {
  let next = at;
  while (isSpace(bytes[next] as number)) next += 1;
  return next;
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function scanObject(
  bytes: Buffer,
  at: number,
  { members }: Shape,
  found: Found,
  levels: number,
): number {
  if (levels === 0) return STOP;
  let next = skipSpace(bytes, at + 1);
  if (bytes[next] === CLOSE_OBJECT) return next + 1;
  let seen = 0;
  for (;;) {
    if (bytes[next] !== QUOTE) return STOP;
    const name = next + 1;
    next = name;
    while (PLAIN[bytes[next] as number] === 1) next += 1;
    // An escape could spell a name that is looked for.
    if (bytes[next] !== QUOTE) return STOP;
    const member = memberAt(bytes, name, next - name, members);
    next = skipSpace(bytes, next + 1);
    if (bytes[next] !== COLON) return STOP;
    next = skipSpace(bytes, next + 1);
    if (member === undefined) {
      next = scan(bytes, next, ANY, found, levels - 1);
    } else {
      if ((seen & member.bit) !== 0) return STOP;
      seen |= member.bit;
      next = scan(bytes, next, member.shape, found, levels - 1);
    }
    if (next === STOP) return STOP;
    next = skipSpace(bytes, next);
    if (bytes[next] !== COMMA) return bytes[next] === CLOSE_OBJECT ? next + 1 : STOP;
    next = skipSpace(bytes, next + 1);
  }
}

function memberAt(
  bytes: Buffer,
  at: number,
  length: number,
  members: Shape['members'],
): Member | undefined {
  if (length >= members.length) return undefined;
  const candidates = members[length] as readonly Member[];
  // An iterator would cost as much as all the rest.
  for (let index = 0; index < candidates.length; index += 1) {
    const member = candidates[index] as Member;
    if (isAt(bytes, at, member.name)) return member;
  }
  return undefined;
}

function isAt(bytes: Buffer, at: number, word: Buffer): boolean {
  for (let offset = 0; offset < word.length; offset += 1) {
    if (bytes[at + offset] !== word[offset]) return false;
  }
  return true;
}

function scanArray(
  bytes: Buffer,
  at: number,
  { element = ANY }: Shape,
  found: Found,
  levels: number,
): number {
  return levels === 0 ? STOP : scanElements(bytes, at, element, found, levels - 1, undefined);
}

function scanElements(
  bytes: Buffer,
  at: number,
  element: Shape,
  found: Found,
  levels: number,
  take: (() => boolean) | undefined,
): number {
  let next = skipSpace(bytes, at + 1);
  if (bytes[next] === CLOSE_ARRAY) return next + 1;
  for (;;) {
    next = scan(bytes, next, element, found, levels);
    if (next === STOP || (take !== undefined && !take())) return STOP;
    next = skipSpace(bytes, next);
    if (bytes[next] !== COMMA) return bytes[next] === CLOSE_ARRAY ? next + 1 : STOP;
    next = skipSpace(bytes, next + 1);
  }
}

function scanString(bytes: Buffer, at: number): number {
  for (let next = at + 1; ; ) {
    while (PLAIN[bytes[next] as number] === 1) next += 1;
    if (bytes[next] === QUOTE) return next + 1;
    if (bytes[next] !== BACKSLASH) return STOP;
    next = scanEscape(bytes, next + 1);
    if (next === STOP) return STOP;
  }
}

function scanEscape(bytes: Buffer, at: number): number {
  if (ESCAPED.has(bytes[at] as number)) return at + 1;
  if (bytes[at] !== LOWER_U) return STOP;
  return /^[\da-f]{4}$/i.test(bytes.toString('latin1', at + 1, at + 5)) ? at + 5 : STOP;
}

/** So many characters hold an integer and a power of ten that are both exact, so dividing them rounds once, as it must. */
const EXACT_CHARACTERS = 15;
const POWERS_OF_TEN = Float64Array.from({ length: EXACT_CHARACTERS }, (_, power) => 10 ** power);

function scanNumber(bytes: Buffer, at: number, shape: Shape, found: Found): number {
  const start = bytes[at] === MINUS ? at + 1 : at;
  let digits = 0;
  let decimals = 0;
  let next = start;
  while (isDigit(bytes[next] as number)) {
    digits = digits * 10 + (bytes[next] as number) - ZERO;
    next += 1;
  }
  if (next === start || (bytes[start] === ZERO && next > start + 1)) return STOP;
  if (bytes[next] === POINT) {
    const point = next;
    next += 1;
    while (isDigit(bytes[next] as number)) {
      digits = digits * 10 + (bytes[next] as number) - ZERO;
      next += 1;
    }
    decimals = next - point - 1;
    if (decimals === 0) return STOP;
  }
  let isExact = next - at <= EXACT_CHARACTERS;
  if (((bytes[next] as number) | LOWER_CASE) === LOWER_E) {
    isExact = false;
    next = scanExponent(bytes, next + 1);
    if (next === STOP) return STOP;
  }
  if (shape.kind !== NUMBER) return next;
  let value = Number.NaN;
  if (isExact) {
    value = digits / (POWERS_OF_TEN[decimals] as number);
    if (start > at) value = -value;
  } else {
    value = Number(bytes.toString('latin1', at, next));
  }
  if (!(value >= shape.minimum && value <= shape.maximum)) return STOP;
  if (shape.slot >= 0) found[shape.slot] = value;
  return next;
}

function scanExponent(bytes: Buffer, at: number): number {
  const start = bytes[at] === MINUS || bytes[at] === PLUS ? at + 1 : at;
  let next = start;
  while (isDigit(bytes[next] as number)) next += 1;
  return next > start ? next : STOP;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function scanWord(bytes: Buffer, at: number, word: Buffer): number {
  return isAt(bytes, at, word) ? at + word.length : STOP;
}
