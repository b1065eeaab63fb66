import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import {
  CONFIG_FILE_VARIABLE,
  type Config,
  ConfigError,
  type ConfigFile,
  DEFAULT_CONFIG_FILE,
  loadConfig,
} from '../config.js';
import { type Logger, loggerOptions } from '../lib/logger.js';
import { CommandError, type Terminal } from './terminal.js';

/** The configuration of this run; warnings go to the terminal. @throws CommandError with every problem. */
export function readConfig(terminal: Terminal, configPath: string | undefined): Config {
  const named = configPath ?? terminal.env[CONFIG_FILE_VARIABLE];
  const file = readConfigFile(named ?? DEFAULT_CONFIG_FILE, named !== undefined);
  try {
    const { config, warnings } = loadConfig({ env: terminal.env, ...(file && { file }) });
    for (const warning of warnings) terminal.err.write(`Warning: ${warning}\n`);
    return config;
  } catch (error) {
    if (error instanceof ConfigError) throw new CommandError(error.message, 2);
    throw error;
  }
}

function readConfigFile(path: string, isRequired: boolean): ConfigFile | undefined {
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !isRequired) return undefined;
    throw new CommandError(`The configuration file ${path} cannot be read: ${message}`, 2);
  }
}

/** Readable lines on a terminal, JSON lines elsewhere; on the error output, so that results stay alone on the other. */
export async function openLog(terminal: Terminal, level: string): Promise<Logger> {
  const { err } = terminal;
  if (!err.isTTY) return pino(loggerOptions(level), { write: (line) => void err.write(line) });
  const { default: pretty } = await import('pino-pretty');
  const stream = pretty({ colorize: true, translateTime: 'HH:MM:ss.l', sync: true });
  return pino(loggerOptions(level), stream);
}

export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
