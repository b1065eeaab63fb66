import type { SettingName } from './schema.js';

/** A value as it came, and the file (with its line) or variable that it came from. */
export interface Given {
  value: unknown;
  where: string;
  source: 'file' | 'variable';
}

export type GivenSettings = ReadonlyMap<SettingName, Given>;

/** The configuration cannot be used. The message lists every problem, one a line, and shows no secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  /** Not part of the message; a misspelt key here often explains a problem. */
  readonly warnings: readonly string[];

  constructor(problems: readonly string[], warnings: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
    this.warnings = warnings;
  }
}

/** Where the checks of what belongs together put what they find. A line starts with where `name` was given. */
export interface Findings {
  given: GivenSettings;
  problem(name: SettingName, sentence: string): void;
  warning(name: SettingName, sentence: string): void;
}

export function lineFor(given: GivenSettings, name: SettingName, sentence: string): string {
  const where = given.get(name)?.where;
  return where ? `${where}, ${name}: ${sentence}` : `${name}: ${sentence}`;
}

/** A password may have slipped into the wrong key: `587 password:…`, `https://user:…@host`. */
const SUSPICIOUS = /[\n\r]|\/\/.*@|:(?!\/\/|\d{1,5}(\/|$))|pass|pwd|secret|token/i;

/** A value for a problem's text: short and plain, or only what kind of value it is. */
export function show(value: unknown, secret: boolean): string {
  if (Array.isArray(value)) {
    return secret || value.length > 10
      ? 'a list'
      : `[${value.map((item) => show(item, false)).join(', ')}]`;
  }
  if (typeof value === 'object' && value !== null) return 'a map of keys';
  if (secret)
    return typeof value === 'string' ? 'a text (not shown)' : `a ${typeof value} (not shown)`;
  if (typeof value !== 'string') return String(value);
  return value.length <= 60 && !SUSPICIOUS.test(value) ? `"${value}"` : 'a text (not shown)';
}
