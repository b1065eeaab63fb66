/**
 * The parts of a JSON text as they were written, so that what a robot sent can be kept to the letter (integers beyond
 * 2^53, `1.0`, key order). These functions trust that `JSON.parse` has accepted the text, and read it once.
 */

const QUOTE = 34;
const COMMA = 44;
const OPEN_ARRAY = 91;
const BACKSLASH = 92;
const CLOSE_ARRAY = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/** Where a value begins and ends in its text. */
interface Span {
  start: number;
  end: number;
}

/** The text of the member `key` of a JSON object; of repeated keys the last, as in `JSON.parse`. */
export function memberText(json: string, key: string): string | undefined {
  let found: Span | undefined;
  forEachMember(json, skipSpace(json, 0), (name, start) => {
    const end = skipValue(json, start);
    if (isKey(name, key)) found = { start, end };
    return end;
  });
  return found && cut(json, found.start, found.end);
}

/**
 * Of a JSON object with an array `list`: the texts of the members `key` of its elements, in order; undefined for an
 * element that has none.
 */
export function memberTexts(json: string, list: string, key: string): (string | undefined)[] {
  let texts: (string | undefined)[] = [];
  forEachMember(json, skipSpace(json, 0), (name, start) => {
    if (!isKey(name, list) || json.charCodeAt(start) !== OPEN_ARRAY) return skipValue(json, start);
    texts = [];
    return forEachElement(json, start, (at) => {
      if (json.charCodeAt(at) !== OPEN_OBJECT) {
        texts.push(undefined);
        return skipValue(json, at);
      }
      let text: string | undefined;
      const end = forEachMember(json, at, (member, valueStart) => {
        const valueEnd = skipValue(json, valueStart);
        if (isKey(member, key)) text = cut(json, valueStart, valueEnd);
        return valueEnd;
      });
      texts.push(text);
      return end;
    });
  });
  return texts;
}

/** On its own: a slice would keep the whole of what it was cut from in memory. */
function cut(json: string, start: number, end: number): string {
  return Buffer.from(json.slice(start, end), 'utf8').toString('utf8');
}

/** Calls `visit` with each member's name, as written, and where its value begins; it answers where the value ends. */
function forEachMember(
  json: string,
  at: number,
  visit: (name: string, start: number) => number,
): number {
  if (json.charCodeAt(at) !== OPEN_OBJECT) return json.length;
  let next = skipSpace(json, at + 1);
  while (json.charCodeAt(next) === QUOTE) {
    const nameEnd = skipString(json, next);
    const name = json.slice(next + 1, nameEnd - 1);
    const colon = skipSpace(json, nameEnd);
    next = skipSpace(json, visit(name, skipSpace(json, colon + 1)));
    if (json.charCodeAt(next) === COMMA) next = skipSpace(json, next + 1);
  }
  return next + 1;
}

/** Calls `visit` with where each element begins; it answers where the element ends. */
function forEachElement(json: string, at: number, visit: (start: number) => number): number {
  let next = skipSpace(json, at + 1);
  while (next < json.length && json.charCodeAt(next) !== CLOSE_ARRAY) {
    next = skipSpace(json, visit(next));
    if (json.charCodeAt(next) === COMMA) next = skipSpace(json, next + 1);
  }
  return next + 1;
}

function isKey(name: string, key: string): boolean {
  return name === key || (name.includes('\\') && JSON.parse(`"${name}"`) === key);
}

function skipSpace(json: string, at: number): number {
  let next = at;
  while (json.charCodeAt(next) <= 32) next += 1;
  return next;
}

function skipString(json: string, at: number): number {
  for (let next = at + 1; next < json.length; next += 1) {
    const char = json.charCodeAt(next);
    if (char === QUOTE) return next + 1;
    if (char === BACKSLASH) next += 1;
  }
  return json.length;
}

function skipValue(json: string, at: number): number {
  const first = json.charCodeAt(at);
  if (first === QUOTE) return skipString(json, at);
  if (first === OPEN_OBJECT || first === OPEN_ARRAY) return skipContainer(json, at);
  return skipScalar(json, at);
}

function skipContainer(json: string, at: number): number {
  let depth = 0;
  for (let next = at; next < json.length; next += 1) {
    const char = json.charCodeAt(next);
    if (char === QUOTE) {
      next = skipString(json, next) - 1;
    } else if (char === OPEN_OBJECT || char === OPEN_ARRAY) {
      depth += 1;
    } else if (char === CLOSE_OBJECT || char === CLOSE_ARRAY) {
      depth -= 1;
      if (depth === 0) return next + 1;
    }
  }
  return json.length;
}

function skipScalar(json: string, at: number): number {
  for (let next = at; next < json.length; next += 1) {
    const char = json.charCodeAt(next);
    if (char <= 32 || char === COMMA || char === CLOSE_OBJECT || char === CLOSE_ARRAY) return next;
  }
  return json.length;
}
