/**
 * The parts of a JSON text as they were written, so that what a robot sent can be kept to the letter (integers beyond
 * 2^53, `1.0`, key order). Both functions trust that `JSON.parse` has accepted the text.
 */

const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_ARRAY = 91;
const CLOSE_ARRAY = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/** The text of the member `key` of a JSON object; of repeated keys the last, as in `JSON.parse`. */
export function memberText(json: string, key: string): string | undefined {
  let found: string | undefined;
  let at = skipSpace(json, skipSpace(json, 0) + 1);
  while (json.charCodeAt(at) === QUOTE) {
    const keyEnd = skipString(json, at);
    const name = json.slice(at + 1, keyEnd - 1);
    const start = skipSpace(json, skipSpace(json, keyEnd) + 1);
    const end = skipValue(json, start);
    if (name === key || (name.includes('\\') && JSON.parse(`"${name}"`) === key)) {
      found = json.slice(start, end);
    }
    at = skipSpace(json, skipSpace(json, end) + 1);
  }
  return found;
}

/** The texts of the elements of a JSON array. */
export function elementTexts(json: string): string[] {
  const elements: string[] = [];
  let at = skipSpace(json, skipSpace(json, 0) + 1);
  while (at < json.length && json.charCodeAt(at) !== CLOSE_ARRAY) {
    const end = skipValue(json, at);
    elements.push(json.slice(at, end));
    at = skipSpace(json, skipSpace(json, end) + 1);
  }
  return elements;
}

function skipSpace(json: string, at: number): number {
  let next = at;
  while (next < json.length && json.charCodeAt(next) <= 32) next += 1;
  return next;
}

function skipString(json: string, at: number): number {
  let end = json.indexOf('"', at + 1);
  while (isEscaped(json, end)) end = json.indexOf('"', end + 1);
  return end + 1;
}

function isEscaped(json: string, at: number): boolean {
  let backslashes = 0;
  while (json.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes += 1;
  return backslashes % 2 === 1;
}

function skipValue(json: string, at: number): number {
  const first = json.charCodeAt(at);
  if (first === QUOTE) return skipString(json, at);
  const isContainer = first === OPEN_OBJECT || first === OPEN_ARRAY;
  return isContainer ? skipContainer(json, at) : skipScalar(json, at);
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

const SCALAR_END = /[\s,\]}]|$/g;

function skipScalar(json: string, at: number): number {
  SCALAR_END.lastIndex = at;
  return SCALAR_END.exec(json)?.index ?? json.length;
}

/** The same text on its own: a slice would keep the whole of what it was cut from in memory. */
export function detach(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
