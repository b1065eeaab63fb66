import { networkInterfaces } from 'node:os';
import { type Config, usesDefaultAdminPassword } from '../config.js';

/** What the server says when it is up: where everything is, who may log in, and what is off and why. */
export function banner(facts: {
  config: Config;
  version: string;
  address: string;
  database: string;
  /** Where the originals are, when the database was adopted from KairoIO just now. */
  backup: string | undefined;
}): string {
  const { config, version, database, backup } = facts;
  const url = reachable(facts.address);
  const lines: [string, string][] = [
    ['REST', `${url}/api/v1`],
    ['OpenAPI', `${url}/docs   (${url}/openapi.json)`],
    ['tRPC', `${url}/trpc   ${url.replace(/^http/, 'ws')}/trpc`],
    ['Health', `${url}/health   ${url}/metrics`],
    ['Listening', listening(config.server.host, url)],
    ['Database', database],
    ...(backup === undefined
      ? []
      : [['Adopted', `from KairoIO; the originals are in ${backup}`] as [string, string]]),
    ['Admin login', adminLogin(config)],
    ...switchedOff(config).map(([what, why]): [string, string] => ['Off', `${what}: ${why}`]),
  ];
  const body = lines.map(([name, value]) => `  ${name.padEnd(13)}${value}`).join('\n');
  return `\nFleetwire ${version} is up. Ctrl-C stops it.\n\n${body}\n\n`;
}

function reachable(address: string): string {
  return address.replace(/\/\/(0\.0\.0\.0|127\.0\.0\.1|\[::1?\])/, '//localhost');
}

function listening(host: string, url: string): string {
  if (host !== '0.0.0.0' && host !== '::') return `on ${host}`;
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => Object.assign(new URL(url), { hostname: address }).origin);
  return ['on every interface', ...addresses].join('   ');
}

function adminLogin(config: Config): string {
  const { username, password } = config.admin;
  return usesDefaultAdminPassword(config)
    ? `${username} / ${password}   (the default: accepted from this machine alone; set KAIROIO_ADMIN_PASSWORD)`
    : `${username}, with the password of admin.password`;
}

function switchedOff(config: Config): [string, string][] {
  const { features, email, retention, livekit } = config;
  const off: [string, string][] = [['Video rooms', 'not in this version']];
  if (!features.registration_enabled)
    off.push(['Registration', 'features.registration_enabled is false']);
  if (!email.smtp_host) off.push(['E-mail', 'email.smtp_host is not set']);
  if (!features.rate_limiting_enabled)
    off.push(['Rate limits', 'features.rate_limiting_enabled is false']);
  if (!features.robot_quota_enabled)
    off.push(['Robot quota', 'features.robot_quota_enabled is false']);
  if (retention.status_days === null && retention.log_days === null) {
    off.push([
      'Retention',
      'retention.status_days and retention.log_days are not set; data is kept for ever',
    ]);
  }
  if (!livekit.api_key) off.push(['LiveKit', 'livekit.api_key is not set']);
  return off;
}
