export { usesDefaultAdminPassword } from './config/checks.js';
export { ConfigError } from './config/findings.js';
export type { Listener, ListenerApi } from './config/listeners.js';
export { type Config, type ConfigSources, loadConfig } from './config/load.js';
export { CONFIG_FILE_VARIABLE, type ConfigFile, DEFAULT_CONFIG_FILE } from './config/sources.js';
export { configTable } from './config/table.js';
