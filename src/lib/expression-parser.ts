import jsep from 'jsep';

/** What is wrong with an expression, and the column (from 1) where. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  readonly column: number;

  constructor(problem: string, index: number) {
    super(`column ${index + 1}: ${problem}`);
    this.column = index + 1;
  }
}

export type BinaryOperator =
  | ('&&' | '||')
  | ('==' | '!=')
  | ('<' | '<=' | '>' | '>=')
  | ('+' | '-' | '*' | '/');

/** The whole of the language; `at` is the index where the part begins. */
export type ExpressionNode =
  | { type: 'literal'; at: number; value: string | number | boolean | null }
  | { type: 'path'; at: number; keys: readonly (string | number)[] }
  | { type: 'unary'; at: number; operator: '!' | '-'; operand: ExpressionNode }
  | {
      type: 'binary';
      at: number;
      operator: BinaryOperator;
      left: ExpressionNode;
      right: ExpressionNode;
    };

const DEPTH_LIMIT = 50;
const BINARY: ReadonlySet<string> = new Set<BinaryOperator>([
  ...(['&&', '||', '==', '!=', '<', '<=', '>', '>='] as const),
  ...(['+', '-', '*', '/'] as const),
]);
const INSTEAD: Readonly<Record<string, string>> = { '===': '==', '!==': '!=' };
const WORD = /(and|or|not)(?![\w$\u0080-\uffff])/iy;
const LITERAL = /^(true|false|null)$/i;
const NAME = /^[\p{L}_$][\p{L}\p{M}\p{N}_$]*$/u;

/** The methods of jsep's parser class, which its types leave out; its plugins are written against the same. */
interface JsepParser {
  index: number;
  readonly expr: string;
  readonly char: string;
  gobbleSpaces(): void;
  gobbleExpression(): Raw | false | undefined;
  gobbleBinaryExpression(): Raw | false | undefined;
  gobbleBinaryOp(): string | false;
  gobbleToken(): Raw | false | undefined;
}
type Raw = jsep.Expression;
const { Jsep } = jsep as unknown as { Jsep: new (expression: string) => JsepParser };

/**
 * jsep with our words and limits. Its operators could be set, but for the whole process; overriding the methods that read
 * them leaves the library as it is for whoever else uses it.
 */
class Parser extends Jsep {
  readonly starts = new WeakMap<Raw, number>();
  #depth = 0;
  /** Within the operand of `not`, which reaches as far as a comparison does. */
  #endsAtLogic = false;

  override gobbleExpression(): Raw | false | undefined {
    const before = this.#endsAtLogic;
    this.#endsAtLogic = false;
    const node = super.gobbleExpression();
    this.#endsAtLogic = before;
    return node;
  }

  override gobbleToken(): Raw | false | undefined {
    this.gobbleSpaces();
    const at = this.index;
    this.#depth += 1;
    if (this.#depth > DEPTH_LIMIT) {
      throw new ExpressionError(`is nested deeper than ${DEPTH_LIMIT} levels`, at);
    }
    const word = this.word();
    if (word === 'and' || word === 'or') throw this.unexpected('a value');
    const node = word === 'not' ? this.gobbleNot() : super.gobbleToken();
    this.#depth -= 1;
    if (node) this.starts.set(node, at);
    return node;
  }

  override gobbleBinaryOp(): string | false {
    this.gobbleSpaces();
    const at = this.index;
    const operator = this.gobbleLogicWord() ?? super.gobbleBinaryOp();
    if (operator === false) return false;
    if (!BINARY.has(operator)) {
      const instead = INSTEAD[operator] ?? '+ - * / == != < <= > >= and or not';
      throw new ExpressionError(`"${operator}" is not known here; use ${instead}`, at);
    }
    if (!this.#endsAtLogic || (operator !== '&&' && operator !== '||')) return operator;
    this.index = at;
    return false;
  }

  /** Called by jsep for what begins with a bracket. */
  gobbleGroup(): Raw {
    this.index += 1;
    const node = this.gobbleExpression();
    if (!node || this.char !== ')') throw this.unexpected('")"');
    this.index += 1;
    return node;
  }

  /** Called by jsep for what begins with a square bracket. */
  gobbleArray(): never {
    throw new ExpressionError('lists cannot be written here', this.index);
  }

  /** Called by jsep behind the bracket that calls something. */
  gobbleArguments(): never {
    throw new ExpressionError('nothing can be called here', this.index - 1);
  }

  gobbleNot(): Raw {
    const before = this.#endsAtLogic;
    this.#endsAtLogic = true;
    this.index += 'not'.length;
    const argument = this.gobbleBinaryExpression();
    this.#endsAtLogic = before;
    if (!argument) throw this.unexpected('a condition after not');
    return { type: 'UnaryExpression', operator: '!', argument };
  }

  gobbleLogicWord(): '&&' | '||' | undefined {
    const word = this.word();
    if (word !== 'and' && word !== 'or') return undefined;
    this.index += word.length;
    return word === 'and' ? '&&' : '||';
  }

  /** Which of our words comes next. */
  word(): string | undefined {
    WORD.lastIndex = this.index;
    return WORD.exec(this.expr)?.[1]?.toLowerCase();
  }

  unexpected(wanted: string): ExpressionError {
    const { index, expr } = this;
    const found = index < expr.length ? `found "${expr.slice(index, index + 10)}"` : 'it ends here';
    const hint = expr[index] === '=' ? '; to compare, write ==' : '';
    return new ExpressionError(`expected ${wanted}, but ${found}${hint}`, index);
  }
}

/**
 * Reads numbers, texts, true, false, null, paths (`a.b[0]["c d"]`, `$` for the whole), comparisons, arithmetic, `and`, `or`,
 * `not` (`&&`, `||`, `!`) and brackets, and nothing else.
 * @throws ExpressionError
 */
export function parseExpression(text: string): ExpressionNode {
  const parser = new Parser(text);
  try {
    const node = parser.gobbleExpression();
    if (!node) throw parser.unexpected('a condition');
    if (parser.index < text.length) throw parser.unexpected('an operator such as <, == or and');
    return nodeOf(node, parser.starts, 0);
  } catch (error) {
    if (!isJsepError(error)) throw error;
    // Behind a last backslash jsep stands one too far.
    throw new ExpressionError(error.description, Math.min(error.index, text.length));
  }
}

function isJsepError(error: unknown): error is { description: string; index: number } {
  return error instanceof Error && 'description' in error && 'index' in error;
}

function nodeOf(raw: Raw, starts: WeakMap<Raw, number>, from: number): ExpressionNode {
  const at = starts.get(raw) ?? from;
  switch (raw.type) {
    case 'Literal':
      return { type: 'literal', at, value: literalOf(raw as jsep.Literal, at) };
    case 'Identifier':
    case 'MemberExpression':
      return { type: 'path', at, keys: keysOf(raw, at) };
    case 'UnaryExpression': {
      const { operator, argument } = raw as jsep.UnaryExpression;
      if (operator === '!' || operator === '-') {
        return { type: 'unary', at, operator, operand: nodeOf(argument, starts, at) };
      }
      throw new ExpressionError(`"${operator}" is not known here`, at);
    }
    case 'BinaryExpression': {
      const { operator, left, right } = raw as jsep.BinaryExpression;
      const leftNode = nodeOf(left, starts, at);
      return {
        type: 'binary',
        at: leftNode.at,
        operator: operator as BinaryOperator,
        left: leftNode,
        right: nodeOf(right, starts, at),
      };
    }
    case 'ThisExpression':
      throw new ExpressionError('"this" is not known here; $ is the whole', at);
    default:
      throw new ExpressionError('is more than a condition may hold', at);
  }
}

function literalOf({ value }: jsep.Literal, at: number): string | number | boolean | null {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new ExpressionError('this number is too large', at);
  }
  return value as string | number | boolean | null;
}

function keysOf(raw: Raw, at: number): (string | number)[] {
  const keys: (string | number)[] = [];
  let node = raw;
  while (node.type === 'MemberExpression') {
    const { object, property, computed, optional } = node as jsep.MemberExpression;
    if (optional) throw new ExpressionError('write . instead of ?.', at);
    keys.unshift(computed ? indexOf(property, at) : nameOf(property as jsep.Identifier, at));
    node = object;
  }
  if (node.type !== 'Identifier') {
    throw new ExpressionError('only a field can be looked into', at);
  }
  const name = nameOf(node as jsep.Identifier, at);
  if (LITERAL.test(name)) {
    throw new ExpressionError(`write ${name.toLowerCase()} instead of ${name}`, at);
  }
  keys.unshift(name);
  return keys;
}

function nameOf({ name }: jsep.Identifier, at: number): string {
  if (NAME.test(name)) return name;
  throw new ExpressionError(
    `${JSON.stringify(name)} is no name; write $["…"] for such a field`,
    at,
  );
}

function indexOf(property: Raw, at: number): string | number {
  const { type, value } = property;
  const isKey = typeof value === 'string' || (Number.isInteger(value) && Number(value) >= 0);
  if (type === 'Literal' && isKey) return value as string | number;
  throw new ExpressionError('in [ ] must be a text or a number from 0', at);
}
