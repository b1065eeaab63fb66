/** A pattern that takes time in proportion to the text, however it is written. */
export interface LinearRegExp {
  test(text: string): boolean;
}

/** What one step of the machine does; the numbers are where it goes on. */
type Step =
  | { kind: 'character'; takes: (character: string) => boolean; next: number }
  | { kind: 'fork'; next: number; other: number }
  | { kind: 'assert'; holds: (before: string, after: string) => boolean; next: number }
  | { kind: 'match' };

type Node =
  | { kind: 'atom'; takes: (character: string) => boolean }
  | { kind: 'assert'; holds: (before: string, after: string) => boolean }
  | { kind: 'sequence'; parts: Node[] }
  | { kind: 'choice'; options: Node[] }
  | { kind: 'repeat'; part: Node; least: number; most: number };

const PATTERN_LIMIT_CHARACTERS = 500;
const STEP_LIMIT = 1_000;
/** A class or an escape of one character, as `new RegExp` has accepted it with the flag `u`. */
const ATOM =
  /\[(?:\\[\s\S]|[^\]\\])*\]|\\(?:[pP]\{[^}]*\}|u\{[^}]*\}|u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[\da-fA-F]{4}|x[\da-fA-F]{2}|c[A-Za-z]|[\s\S])|[\s\S]/uy;
const QUANTIFIER = /(?:[*+?]|\{(\d+)(,(\d*))?\})\??/uy;
const GROUP = /\((?:\?:|\?<(?![=!])[^>]*>)?/uy;

/**
 * Compiles a pattern of JavaScript's syntax with the flag `u`. Patterns of strangers are matched by this: the built-in
 * engine goes back and tries again, which a small pattern can make it do for hours; this one follows every way at once.
 * @throws Error with a sentence for what is no pattern, is too large, or looks around or back, which needs going back.
 */
export function linearRegExp(pattern: string): LinearRegExp {
  if (pattern.length > PATTERN_LIMIT_CHARACTERS) {
    throw new Error(`must not be longer than ${PATTERN_LIMIT_CHARACTERS} characters`);
  }
  try {
    new RegExp(pattern, 'u');
  } catch {
    throw new Error('is not a regular expression');
  }
  return { test: run(assemble(parse(pattern))) };
}

function parse(pattern: string): Node {
  let at = 0;

  function accept(token: RegExp): RegExpExecArray | null {
    token.lastIndex = at;
    const found = token.exec(pattern);
    if (found) at = token.lastIndex;
    return found;
  }
  function choice(): Node {
    const options = [sequence()];
    while (pattern[at] === '|') {
      at += 1;
      options.push(sequence());
    }
    return options.length === 1 ? (options[0] as Node) : { kind: 'choice', options };
  }
  function sequence(): Node {
    const parts: Node[] = [];
    while (at < pattern.length && pattern[at] !== '|' && pattern[at] !== ')') {
      parts.push(repeated(term()));
    }
    return { kind: 'sequence', parts };
  }
  function term(): Node {
    if (pattern.startsWith('(?=', at) || pattern.startsWith('(?!', at)) throw lookaround();
    if (pattern.startsWith('(?<=', at) || pattern.startsWith('(?<!', at)) throw lookaround();
    if (accept(GROUP)) {
      const inner = choice();
      at += 1;
      return inner;
    }
    const [text = ''] = accept(ATOM) ?? [];
    if (/^\\(?:[1-9]|k)/.test(text)) throw new Error('must not refer back to a group');
    const holds = ASSERTIONS[text];
    return holds ? { kind: 'assert', holds } : { kind: 'atom', takes: atomOf(text) };
  }
  function repeated(part: Node): Node {
    const found = accept(QUANTIFIER);
    if (!found) return part;
    const [text, from, range, to] = found;
    if (text.startsWith('*')) return { kind: 'repeat', part, least: 0, most: Infinity };
    if (text.startsWith('+')) return { kind: 'repeat', part, least: 1, most: Infinity };
    if (text.startsWith('?')) return { kind: 'repeat', part, least: 0, most: 1 };
    const least = Number(from);
    const most = range === undefined ? least : to === '' ? Infinity : Number(to);
    return { kind: 'repeat', part, least, most };
  }
  return choice();
}

const isWord = (character: string) => /^\w$/.test(character);
const ASSERTIONS: Record<string, ((before: string, after: string) => boolean) | undefined> =
  Object.assign(Object.create(null), {
    '^': (before: string) => before === '',
    $: (_before: string, after: string) => after === '',
    '\\b': (before: string, after: string) => isWord(before) !== isWord(after),
    '\\B': (before: string, after: string) => isWord(before) === isWord(after),
  });

function atomOf(text: string): (character: string) => boolean {
  if (text !== '.' && !text.startsWith('[') && !text.startsWith('\\')) return (c) => c === text;
  const single = new RegExp(`^${text}$`, 'u');
  return (character) => single.test(character);
}

function lookaround(): Error {
  return new Error('must not look ahead or behind');
}

/** The steps of the machine, which begins with the last of them. */
function assemble(root: Node): Step[] {
  const steps: Step[] = [{ kind: 'match' }];
  function add(step: Step): number {
    if (steps.length >= STEP_LIMIT) throw new Error('repeats too much; it must be simpler');
    return steps.push(step) - 1;
  }
  /** @returns where to enter `node` so that it goes on at `next`. */
  function enter(node: Node, next: number): number {
    switch (node.kind) {
      case 'atom':
        return add({ kind: 'character', takes: node.takes, next });
      case 'assert':
        return add({ kind: 'assert', holds: node.holds, next });
      case 'sequence':
        return node.parts.reduceRight((after, part) => enter(part, after), next);
      case 'choice': {
        const [first = next, ...others] = node.options.map((option) => enter(option, next));
        return others.reduce((one, other) => add({ kind: 'fork', next: one, other }), first);
      }
      case 'repeat':
        return enterRepeat(node, next);
    }
  }
  function enterRepeat(node: Node & { kind: 'repeat' }, next: number): number {
    let entry = next;
    if (node.most === Infinity) {
      const loop: Step = { kind: 'fork', next, other: next };
      entry = add(loop);
      loop.other = enter(node.part, entry);
    } else {
      for (let n = node.least; n < node.most; n += 1) {
        entry = add({ kind: 'fork', next, other: enter(node.part, entry) });
      }
    }
    for (let n = 0; n < node.least; n += 1) {
      const earlier = enter(node.part, entry);
      // Nothing, however often.
      if (earlier === entry) break;
      entry = earlier;
    }
    return entry;
  }
  const entry = enter(root, 0);
  add({ kind: 'fork', next: entry, other: entry });
  return steps;
}

function run(steps: readonly Step[]): (text: string) => boolean {
  return (text) => {
    const seenAt = new Int32Array(steps.length).fill(-1);
    const characters = text[Symbol.iterator]();
    let entries: number[] = [];
    let before = '';
    for (let position = 0; ; position += 1) {
      const { value: after = '', done } = characters.next();
      const taken: number[] = [];
      // A match may begin anywhere, hence the start among the entries at every position.
      const open = [...entries, steps.length - 1];
      for (let at = open.pop(); at !== undefined; at = open.pop()) {
        if (seenAt[at] === position) continue;
        seenAt[at] = position;
        const step = steps[at] as Step;
        if (step.kind === 'match') return true;
        if (step.kind === 'fork') open.push(step.other, step.next);
        else if (step.kind === 'assert' && step.holds(before, after)) open.push(step.next);
        else if (step.kind === 'character' && !done && step.takes(after)) taken.push(step.next);
      }
      if (done) return false;
      entries = taken;
      before = after;
    }
  };
}
