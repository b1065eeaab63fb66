import type { Given } from './findings.js';
import { listSettings, type SettingName } from './schema.js';
import { didYouMean, nearest } from './suggest.js';
import { parseYaml } from './yaml.js';

/** The file that is read when it is there and none is named. */
export const DEFAULT_CONFIG_FILE = 'config.yaml';
/** The variable that names the configuration file. */
export const CONFIG_FILE_VARIABLE = 'KAIROIO_CONFIG';

/** The text of a configuration file; `path` is what problems call it. */
export interface ConfigFile {
  path: string;
  text: string;
}

/** The values that one source gives. Unknown names are warnings. */
export interface Source {
  given: Map<SettingName, Given>;
  problems: string[];
  warnings: string[];
  /** Sections that may say more than could be read. */
  unread: string[];
}

/** A key without a value is not set. A file with broken syntax gives nothing but its problems. */
export function readFileSource(file: ConfigFile): Source {
  const source = emptySource();
  const tree = parseYaml(file.text);
  if ('problems' in tree) {
    source.problems.push(...tree.problems.map((problem) => `${file.path} ${problem}`));
    source.unread.push(...sectionNames());
    return source;
  }
  if (tree.root === null) return source;
  if (!(tree.root instanceof Map)) {
    source.problems.push(`${file.path}: not a map; write sections such as server: with keys below`);
    source.unread.push(...sectionNames());
    return source;
  }
  const whereIs = (...path: string[]): string => {
    const line = tree.lineOf(...path);
    return line === undefined ? file.path : `${file.path} line ${line}`;
  };
  const sections: Map<string, unknown> = tree.root;
  for (const [section, values] of sections) readSection(section, values, whereIs, source);
  return source;
}

function readSection(
  section: string,
  values: unknown,
  whereIs: (...path: string[]) => string,
  source: Source,
): void {
  const known = listSettings().filter((setting) => setting.section === section);
  const first = known[0];
  if (first === undefined) {
    const hint = didYouMean(suggestSection(section));
    source.warnings.push(`${whereIs(section)}: unknown section ${showName(section)}${hint}`);
    return;
  }
  if (values === null) return;
  if (!(values instanceof Map)) {
    source.unread.push(section);
    source.problems.push(
      `${whereIs(section)}, ${section}: not a map; write its keys below it, such as ${first.key}`,
    );
    return;
  }
  const keys: Map<string, unknown> = values;
  for (const [key, value] of keys) {
    const where = whereIs(section, key);
    const setting = known.find((candidate) => candidate.key === key);
    if (setting === undefined) {
      const hint = didYouMean(suggestKey(section, key));
      source.warnings.push(`${where}: unknown key ${section}.${showName(key)}${hint}`);
    } else if (value !== null) {
      source.given.set(setting.name, { value, where, source: 'file' });
    }
  }
}

/** An empty variable is not set. */
export function readVariableSource(env: Record<string, string | undefined>): Source {
  const source = emptySource();
  const settings = listSettings();
  for (const { name, variables, aliasUnit } of settings) {
    const variable = variables.find((candidate) => env[candidate]);
    const text = variable && env[variable];
    if (!text) continue;
    const bare = aliasUnit && variable === variables[0] && /^\d+$/.test(text);
    const value = bare ? text + aliasUnit : text;
    source.given.set(name, { value, where: variable, source: 'variable' });
  }
  const known = [CONFIG_FILE_VARIABLE, ...settings.flatMap(({ variables }) => variables)];
  for (const variable of Object.keys(env).sort()) {
    if (variable.startsWith('KAIROIO_') && env[variable] && !known.includes(variable)) {
      const hint = didYouMean(nearest(variable, known));
      source.warnings.push(`${showName(variable)}: unknown variable${hint}`);
    }
  }
  return source;
}

function emptySource(): Source {
  return { given: new Map(), problems: [], warnings: [], unread: [] };
}

function sectionNames(): string[] {
  return [...new Set(listSettings().map(({ section }) => section))];
}

/** The section, or the one key of that name: `port: 8080` at the top. */
function suggestSection(section: string): string | undefined {
  const near = nearest(section, sectionNames());
  const moved = listSettings().filter(({ key }) => key === section);
  return near ?? (moved.length === 1 ? moved[0]?.name : undefined);
}

/** The key of this section, or the same key of another one. */
function suggestKey(section: string, key: string): string | undefined {
  const settings = listSettings();
  const own = settings.filter((setting) => setting.section === section).map(({ name }) => name);
  return nearest(`${section}.${key}`, own) ?? settings.find((setting) => setting.key === key)?.name;
}

/** What is no plain name may be a value in the wrong place, and is not shown. */
function showName(name: string): string {
  return /^[\w.-]{1,64}$/.test(name) ? name : '(not shown)';
}
