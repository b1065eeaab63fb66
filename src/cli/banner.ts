import { networkInterfaces } from 'node:os';
import { type Config, usesDefaultAdminPassword } from '../config.js';
import type { FurtherAddress } from '../http/listeners.js';

/** What the server says when it is up: where everything is, who may log in, and what is off and why. */
export function banner(facts: {
  config: Config;
  version: string;
  address: string;
  further: readonly FurtherAddress[];
  database: string;
  /** Where the originals are, when the database was adopted from KairoIO just now. */
  backup: string | undefined;
  /** `detail` says why there is none. */
  video: { ok: boolean; detail?: string };
}): string {
  const { config, version, database, backup, video, further } = facts;
  const url = reachable(facts.address);
  const lines: [string, string][] = [
    ['REST', `${url}/api/v1`],
    ['OpenAPI', `${url}/docs   (${url}/openapi.json)`],
    ['tRPC', `${url}/trpc   ${url.replace(/^http/, 'ws')}/trpc`],
    ['Health', `${url}/health   ${url}/metrics`],
    ['Listening', listening(config.server.host, url)],
    ...further.map((address): [string, string] => ['Also', furtherDoor(address)]),
    ['Database', database],
    ...(backup === undefined
      ? []
      : [['Adopted', `from KairoIO; the originals are in ${backup}`] as [string, string]]),
    ...(video.ok ? [['Video', videoDoor(config)] as [string, string]] : []),
    ['Admin login', adminLogin(config)],
    ...switchedOff(config, video).map(([what, why]): [string, string] => [
      'Off',
      `${what}: ${why}`,
    ]),
  ];
  const body = lines.map(([name, value]) => `  ${name.padEnd(13)}${value}`).join('\n');
  return `\nFleetwire ${version} is up. Ctrl-C stops it.\n\n${body}\n\n`;
}

function reachable(address: string): string {
  return address.replace(/\/\/(0\.0\.0\.0|127\.0\.0\.1|\[::1?\])/, '//localhost');
}

function furtherDoor({ url, api }: FurtherAddress): string {
  const door = reachable(url);
  if (api === 'relay') return `${door.replace(/^http/, 'ws')}/ws   the relay alone`;
  return `${door}   ${api === null ? 'everything' : `${api} alone`}`;
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

function videoDoor({ media }: Config): string {
  const { rtc_port, announced_address } = media;
  const ports = rtc_port === 0 ? 'any free ports' : `UDP and TCP from port ${rtc_port}`;
  return announced_address ? `${ports}, announced as ${announced_address}` : ports;
}

function switchedOff(config: Config, video: { ok: boolean; detail?: string }): [string, string][] {
  const { features, email, retention, livekit } = config;
  const off: [string, string][] = [];
  if (!video.ok) off.push(['Video rooms', video.detail ?? 'unknown']);
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
