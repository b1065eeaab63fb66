import type { Issue } from './errors.js';
import { isDeeperThan } from './json-depth.js';
import { linearRegExp } from './linear-regexp.js';

const DEPTH_LIMIT = 40;
const SCHEMA_LIMIT_CHARACTERS = 65_536;
/** Schemas within a schema, each counted as often as it is referred to, and the values of its enumerations. */
const WORK_LIMIT = 2_000;
const UNIQUE_LIMIT_ITEMS = 1_000;

const ONE = [
  ...['additionalItems', 'additionalProperties', 'contains', 'else', 'if', 'items', 'not', 'then'],
  ...['propertyNames', 'unevaluatedItems', 'unevaluatedProperties'],
];
const MANY = ['allOf', 'anyOf', 'items', 'oneOf', 'prefixItems'];
const NAMED = ['dependencies', 'dependentSchemas', 'patternProperties', 'properties'];
/** They take part only where they are referred to. */
const DEFINITIONS = ['$defs', 'definitions'];
const REFUSED: Readonly<Record<string, string>> = {
  $anchor: 'is not supported; refer by #/… instead',
  $dynamicAnchor: 'is not supported',
  $dynamicRef: 'is not supported',
  $id: 'is not supported; the server has a name for it',
  $recursiveRef: 'is not supported',
  $vocabulary: 'is not supported',
};

type Schema = Record<string, unknown>;

class Unsound extends Error {
  readonly path: string;
  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

/**
 * Whether judging values by a schema stays cheap whoever wrote it: of bounded size and depth, without references that
 * lead outside or around, with patterns of linear time. Whether it is a JSON Schema at all is another question.
 */
export function judgeSchema(schema: unknown): Issue | undefined {
  try {
    judge(schema);
    return undefined;
  } catch (error) {
    if (error instanceof Unsound) return { path: error.path, message: error.message };
    throw error;
  }
}

function judge(root: unknown): void {
  if (!isSchema(root)) throw new Unsound('', 'must be a JSON Schema, which is an object');
  if (isDeeperThan(root, DEPTH_LIMIT)) {
    throw new Unsound('', `must not be nested deeper than ${DEPTH_LIMIT} levels`);
  }
  if (JSON.stringify(root).length > SCHEMA_LIMIT_CHARACTERS) {
    throw new Unsound('', `must not be longer than ${SCHEMA_LIMIT_CHARACTERS} characters`);
  }
  const workOf = new Map<Schema, number>();
  const open = new Set<Schema>();

  function work(schema: Schema, path: string): number {
    const known = workOf.get(schema);
    if (known !== undefined) return known;
    if (open.has(schema)) throw new Unsound(path, 'must not contain itself');
    open.add(schema);
    judgeKeywords(schema, path);
    let total = 1 + (Array.isArray(schema.enum) ? schema.enum.length : 0);
    for (const [part, where] of partsOf(schema, path)) total += work(part, where);
    if (typeof schema.$ref === 'string') total += work(target(schema.$ref, path), path);
    if (total > WORK_LIMIT) throw new Unsound(path, `must not have more than ${WORK_LIMIT} parts`);
    open.delete(schema);
    workOf.set(schema, total);
    return total;
  }
  function target(ref: string, path: string): Schema {
    if (ref !== '#' && !ref.startsWith('#/')) {
      throw new Unsound(
        join(path, '$ref'),
        'must refer to a part of this schema, such as #/$defs/x',
      );
    }
    let at: unknown = root;
    for (const step of ref.split('/').slice(1)) {
      const name = decode(step);
      at =
        typeof at === 'object' && at !== null && Object.hasOwn(at, name)
          ? Reflect.get(at, name)
          : undefined;
    }
    if (at === true || at === false) return {};
    if (!isSchema(at))
      throw new Unsound(join(path, '$ref'), `refers to ${ref}, which is not there`);
    return at;
  }
  let definitions = 0;
  for (const [part, where] of namedParts(root, DEFINITIONS, '')) definitions += work(part, where);
  if (definitions > WORK_LIMIT) {
    throw new Unsound('', `must not have more than ${WORK_LIMIT} parts in its definitions`);
  }
  work(root, '');
}

function judgeKeywords(schema: Schema, path: string): void {
  for (const [keyword, message] of Object.entries(REFUSED)) {
    if (Object.hasOwn(schema, keyword)) throw new Unsound(join(path, keyword), message);
  }
  if (path !== '' && Object.hasOwn(schema, '$schema')) {
    throw new Unsound(join(path, '$schema'), 'must stand at the top alone');
  }
  if (path !== '' && DEFINITIONS.some((keyword) => Object.hasOwn(schema, keyword))) {
    throw new Unsound(path, 'must not have definitions; they stand at the top');
  }
  judgePattern(schema.pattern, join(path, 'pattern'));
  if (isSchema(schema.patternProperties)) {
    for (const pattern of Object.keys(schema.patternProperties)) {
      judgePattern(pattern, join(path, 'patternProperties'));
    }
  }
  // Each element is compared with every other.
  const { uniqueItems, maxItems } = schema;
  if (uniqueItems && !(typeof maxItems === 'number' && maxItems <= UNIQUE_LIMIT_ITEMS)) {
    throw new Unsound(
      join(path, 'uniqueItems'),
      `needs maxItems of at most ${UNIQUE_LIMIT_ITEMS} beside it`,
    );
  }
}

function judgePattern(pattern: unknown, path: string): void {
  if (typeof pattern !== 'string') return;
  try {
    linearRegExp(pattern);
  } catch (error) {
    throw new Unsound(path, (error as Error).message);
  }
}

function* partsOf(schema: Schema, path: string): Generator<[Schema, string]> {
  for (const keyword of ONE) {
    const part = schema[keyword];
    if (isSchema(part)) yield [part, join(path, keyword)];
  }
  for (const keyword of MANY) {
    const parts = schema[keyword];
    if (!Array.isArray(parts)) continue;
    for (const [at, part] of parts.entries()) {
      if (isSchema(part)) yield [part, join(path, `${keyword}.${at}`)];
    }
  }
  yield* namedParts(schema, NAMED, path);
}

function* namedParts(
  schema: Schema,
  keywords: readonly string[],
  path: string,
): Generator<[Schema, string]> {
  for (const keyword of keywords) {
    const parts = schema[keyword];
    if (!isSchema(parts)) continue;
    for (const [name, part] of Object.entries(parts)) {
      if (isSchema(part)) yield [part, join(path, `${keyword}.${name}`)];
    }
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function decode(step: string): string {
  try {
    return decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return step;
  }
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
