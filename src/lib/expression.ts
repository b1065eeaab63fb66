import {
  type BinaryOperator,
  ExpressionError,
  type ExpressionNode,
  parseExpression,
} from './expression-parser.js';

export { ExpressionError } from './expression-parser.js';

/** What an expression looks at. */
export interface ExpressionScope {
  /** A JSON value; names are its own members. */
  root: unknown;
  /** Values that hide members of the same name; `$.name` still finds those. */
  variables: Readonly<Record<string, unknown>>;
}

/** A condition, ready to be judged often. */
export interface Expression {
  /**
   * Whether it holds. Undefined when that cannot be said, because a value that matters is missing or of another kind than
   * is needed: a missing value makes neither a condition true nor its opposite.
   */
  test(scope: ExpressionScope): boolean | undefined;
  /** The first texts, numbers, booleans and nulls that it looks at, by the paths as it names them; long texts are cut. */
  values(scope: ExpressionScope): Record<string, string | number | boolean | null>;
  /** Those of the variables that it looks at. */
  variables: ReadonlySet<string>;
}

export const EXPRESSION_LIMIT_CHARACTERS = 1_000;
const VALUES_LIMIT = 20;
const VALUE_LIMIT_CHARACTERS = 200;

type Read = (scope: ExpressionScope) => unknown;
/** What a part can give; `any` is only known once there is a value. */
type Kind = 'boolean' | 'number' | 'text' | 'null' | 'any';
interface Part {
  kind: Kind;
  at: number;
  read: Read;
}

/**
 * Makes a function of a condition such as `battery_level < 20 and not charging`. `variables` are the names that are no
 * members of the root. The function calls nothing, sees own members alone, and never throws.
 * @throws ExpressionError for anything else than a condition.
 */
export function compileExpression(text: string, variables: readonly string[] = []): Expression {
  if (text.length > EXPRESSION_LIMIT_CHARACTERS) {
    throw new ExpressionError(
      `is longer than ${EXPRESSION_LIMIT_CHARACTERS} characters`,
      EXPRESSION_LIMIT_CHARACTERS,
    );
  }
  const paths = new Map<string, Read>();
  const used = new Set<string>();
  const { read } = condition(compile(parseExpression(text)));

  function compile(node: ExpressionNode): Part {
    const { at } = node;
    switch (node.type) {
      case 'literal': {
        const { value } = node;
        return { kind: kindOf(value), at, read: () => value };
      }
      case 'path':
        return { kind: 'any', at, read: pathReader(node.keys) };
      case 'unary': {
        const operand = compile(node.operand);
        return node.operator === '!'
          ? { kind: 'boolean', at, read: negation(condition(operand).read) }
          : { kind: 'number', at, read: opposite(numeric(operand, '-').read) };
      }
      case 'binary':
        return { at, ...binary(node.operator, compile(node.left), compile(node.right)) };
    }
  }

  function pathReader(keys: readonly (string | number)[]): Read {
    const [first, ...rest] = keys as [string, ...(string | number)[]];
    const isVariable = variables.includes(first);
    if (isVariable) used.add(first);
    const steps = first === '$' || isVariable ? rest : keys;
    const read: Read = (scope) => {
      let value = isVariable ? scope.variables[first] : scope.root;
      for (const key of steps) {
        if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) {
          return undefined;
        }
        value = (value as Record<string | number, unknown>)[key];
      }
      return value;
    };
    paths.set(pathText(keys), read);
    return read;
  }

  return {
    test: (scope) => read(scope) as boolean | undefined,
    values(scope) {
      const found: [string, string | number | boolean | null][] = [];
      for (const [path, readPath] of paths) {
        const value = readPath(scope);
        if (typeof value === 'string') found.push([path, value.slice(0, VALUE_LIMIT_CHARACTERS)]);
        else if (value === null || typeof value === 'number' || typeof value === 'boolean') {
          found.push([path, value]);
        }
      }
      return Object.fromEntries(found.slice(0, VALUES_LIMIT));
    },
    variables: used,
  };
}

function kindOf(value: string | number | boolean | null): Kind {
  if (value === null) return 'null';
  return typeof value === 'string' ? 'text' : (typeof value as 'number' | 'boolean');
}

function pathText(keys: readonly (string | number)[]): string {
  return keys
    .map((key, at) => {
      if (typeof key === 'number') return `[${key}]`;
      if (!/^[\p{L}_$][\p{L}\p{M}\p{N}_$]*$/u.test(key)) return `[${JSON.stringify(key)}]`;
      return at === 0 ? key : `.${key}`;
    })
    .join('');
}

/** The part as one that is true, false or unknown. @throws ExpressionError when it can be none of that. */
function condition({ kind, at, read }: Part): Part {
  if (kind === 'boolean') return { kind, at, read };
  if (kind !== 'any') {
    throw new ExpressionError(`expected a condition, but this is ${named(kind)}`, at);
  }
  const readBoolean: Read = (scope) => {
    const value = read(scope);
    return typeof value === 'boolean' ? value : undefined;
  };
  return { kind: 'boolean', at, read: readBoolean };
}

function numeric(part: Part, operator: string): Part {
  if (part.kind === 'number' || part.kind === 'any') return part;
  throw new ExpressionError(`${operator} needs a number, but this is ${named(part.kind)}`, part.at);
}

function ordered(part: Part, operator: string): Part {
  if (part.kind === 'number' || part.kind === 'text' || part.kind === 'any') return part;
  const hint = part.kind === 'boolean' ? '; join comparisons with and' : '';
  throw new ExpressionError(
    `${operator} compares numbers or texts, but this is ${named(part.kind)}${hint}`,
    part.at,
  );
}

function named(kind: Kind): string {
  return kind === 'boolean' ? 'true or false' : kind === 'null' ? 'null' : `a ${kind}`;
}

function binary(operator: BinaryOperator, left: Part, right: Part): Omit<Part, 'at'> {
  switch (operator) {
    case '&&':
      return { kind: 'boolean', read: both(condition(left).read, condition(right).read) };
    case '||':
      return { kind: 'boolean', read: either(condition(left).read, condition(right).read) };
    case '==':
    case '!=':
      return { kind: 'boolean', read: equality(operator === '==', left.read, right.read) };
    case '<':
    case '<=':
    case '>':
    case '>=': {
      const parts = [ordered(left, operator), ordered(right, operator)] as const;
      const kinds = new Set(parts.map(({ kind }) => kind).filter((kind) => kind !== 'any'));
      if (kinds.size > 1) {
        throw new ExpressionError(`${operator} cannot compare a number with a text`, right.at);
      }
      return { kind: 'boolean', read: comparison(ORDER[operator], left.read, right.read) };
    }
    default:
      numeric(left, operator);
      numeric(right, operator);
      return { kind: 'number', read: arithmetic(ARITHMETIC[operator], left.read, right.read) };
  }
}

type Ordered = number | string;
const ORDER: Record<'<' | '<=' | '>' | '>=', (a: Ordered, b: Ordered) => boolean> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};
const ARITHMETIC: Record<'+' | '-' | '*' | '/', (a: number, b: number) => number> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
};

function negation(read: Read): Read {
  return (scope) => {
    const value = read(scope);
    return value === undefined ? undefined : !value;
  };
}

function opposite(read: Read): Read {
  return (scope) => {
    const value = read(scope);
    return typeof value === 'number' ? -value : undefined;
  };
}

/** What is unknown decides nothing, unless the other side decides alone. */
function both(left: Read, right: Read): Read {
  return (scope) => {
    const a = left(scope);
    if (a === false) return false;
    const b = right(scope);
    return b === false ? false : a === undefined ? undefined : b;
  };
}

function either(left: Read, right: Read): Read {
  return (scope) => {
    const a = left(scope);
    if (a === true) return true;
    const b = right(scope);
    return b === true ? true : a === undefined ? undefined : b;
  };
}

function equality(wanted: boolean, left: Read, right: Read): Read {
  return (scope) => {
    const a = left(scope);
    const b = right(scope);
    return a === undefined || b === undefined ? undefined : (a === b) === wanted;
  };
}

function comparison(holds: (a: Ordered, b: Ordered) => boolean, left: Read, right: Read): Read {
  return (scope) => {
    const a = left(scope);
    const b = right(scope);
    if (typeof a === 'number' && typeof b === 'number') return holds(a, b);
    return typeof a === 'string' && typeof b === 'string' ? holds(a, b) : undefined;
  };
}

function arithmetic(apply: (a: number, b: number) => number, left: Read, right: Read): Read {
  return (scope) => {
    const a = left(scope);
    const b = right(scope);
    if (typeof a !== 'number' || typeof b !== 'number') return undefined;
    const result = apply(a, b);
    return Number.isFinite(result) ? result : undefined;
  };
}
