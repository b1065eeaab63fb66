import {
  checkAdmin,
  checkEmail,
  checkMedia,
  type LivekitConfig,
  resolveLivekit,
} from './checks.js';
import { type DatabaseConfig, resolveDatabase } from './database.js';
import { ConfigError, type Findings, type GivenSettings, lineFor, show } from './findings.js';
import { type Listener, resolveListeners } from './listeners.js';
import { listSettings, type SettingName, type Settings, settingsSchema } from './schema.js';
import { type ConfigFile, readFileSource, readVariableSource } from './sources.js';

/** Shaped like the file. Durations are milliseconds, sizes bytes; retention is null where it is off. */
export type Config = Omit<Settings, 'server' | 'database' | 'livekit'> & {
  server: Omit<Settings['server'], 'listeners'> & { listeners: Listener[] };
  database: DatabaseConfig;
  livekit: LivekitConfig;
};

export interface ConfigSources {
  env: Record<string, string | undefined>;
  file?: ConfigFile;
}

/**
 * Defaults, overridden by the file, overridden by the variables. Reads nothing but its argument.
 * @throws ConfigError with all problems at once.
 */
export function loadConfig({ env, file }: ConfigSources): { config: Config; warnings: string[] } {
  const fromFile = file && readFileSource(file);
  const fromVariables = readVariableSource(env);
  const given: GivenSettings = new Map([...(fromFile?.given ?? []), ...fromVariables.given]);
  const problems = [...(fromFile?.problems ?? [])];
  const warnings = [...(fromFile?.warnings ?? []), ...fromVariables.warnings];

  const { settings, wrong } = parseSettings(given, problems);
  const findings: Findings = {
    given,
    problem: (name, sentence) => problems.push(lineFor(given, name, sentence)),
    warning: (name, sentence) => warnings.push(lineFor(given, name, sentence)),
  };
  // Where the file cannot be read or a key is wrong, what seems to be missing may be there.
  const unread = listSettings().filter(({ section }) => fromFile?.unread.includes(section));
  const doubtful = new Set([...wrong, ...unread.map(({ name }) => name)]);
  const sound = (...names: SettingName[]) => !names.some((name) => doubtful.has(name));
  if (sound('email.smtp_host', 'email.username', 'email.password')) checkEmail(settings, findings);
  checkAdmin(settings, findings);
  if (listSettings().every(({ section, name }) => section !== 'media' || sound(name))) {
    checkMedia(settings, findings);
  }
  const listeners =
    sound('server.host', 'server.port', 'server.listeners') && resolveListeners(settings, findings);
  const livekit =
    sound('server.environment', 'livekit.api_key', 'livekit.api_secret', 'livekit.host') &&
    resolveLivekit(settings, findings);
  const database =
    sound('database.type', 'database.dsn', 'database.host', 'database.user') &&
    resolveDatabase(settings.database, findings);
  if (problems.length > 0 || !listeners || !livekit || !database)
    throw new ConfigError(problems, warnings);
  const server = { ...settings.server, listeners };
  return { config: { ...settings, server, livekit, database }, warnings };
}

/** Checks each key by itself. A wrong key becomes a problem, and its default stands in for the checks that follow. */
function parseSettings(
  given: GivenSettings,
  problems: string[],
): { settings: Settings; wrong: ReadonlySet<SettingName> } {
  const wrong = new Set<SettingName>();
  const parsed = settingsSchema.safeParse(tree(given, wrong));
  if (parsed.success) return { settings: parsed.data, wrong };
  const settings = listSettings();
  for (const { path, message } of parsed.error.issues) {
    const setting = settings.find(({ section, key }) => section === path[0] && key === path[1]);
    if (!setting || wrong.has(setting.name)) continue;
    wrong.add(setting.name);
    const got = show(given.get(setting.name)?.value, setting.secret ?? false);
    problems.push(lineFor(given, setting.name, `got ${got}; write ${message}`));
  }
  return { settings: settingsSchema.parse(tree(given, wrong)), wrong };
}

/** What was given as sections of keys, without the wrong ones. */
function tree(given: GivenSettings, wrong: ReadonlySet<SettingName>): unknown {
  const sections: Record<string, Record<string, unknown>> = {};
  for (const { section, key, name } of listSettings()) {
    const value = wrong.has(name) ? undefined : given.get(name)?.value;
    sections[section] = { ...sections[section], ...(value === undefined ? {} : { [key]: value }) };
  }
  return sections;
}
