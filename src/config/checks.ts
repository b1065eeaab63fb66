import { isIP } from 'node:net';
import type { Findings } from './findings.js';
import { listSettings, type SettingName, type Settings, variableOf } from './schema.js';

export interface LivekitConfig {
  /** Empty, like the secret and the host, while LiveKit is not configured. */
  api_key: string;
  api_secret: string;
  host: string;
  /** Milliseconds. */
  default_token_ttl: number;
}

const HIGHEST_PORT = 65_535;
const DEVELOPMENT_KEYS = { api_key: 'devkey', api_secret: 'secret', host: 'http://localhost:7880' };

/** What the original's documented settings leave out is a warning, since they must go on starting a server. */
export function checkEmail({ email, features, server }: Settings, findings: Findings): void {
  if (email.smtp_host !== '') {
    if (email.from_address === '') {
      findings.problem('email.smtp_host', missing('email.from_address'));
    } else if (!findings.given.has('email.from_address')) {
      const sentence = `mails come from ${email.from_address}; set email.from_address to an address of yours`;
      findings.warning('email.smtp_host', sentence);
    }
  } else {
    for (const key of ['username', 'password'] as const) {
      if (email[key] !== '') findings.problem(`email.${key}`, missing('email.smtp_host'));
    }
    const codesGoNowhere = features.registration_enabled && features.email_verification_required;
    if (codesGoNowhere && server.environment === 'production') {
      findings.warning(
        'features.registration_enabled',
        'nobody can register: codes go by mail and email.smtp_host is not set',
      );
    }
  }
  if (email.username !== '' && email.password === '') {
    findings.problem('email.username', missing('email.password'));
  }
  if (email.password !== '' && email.username === '') {
    findings.warning('email.password', 'not used without email.username; set that too, or neither');
  }
}

/** Key, secret and host as a whole; in development the documented keys when nothing is said. */
export function resolveLivekit(settings: Settings, findings: Findings): LivekitConfig {
  const { api_key, api_secret, host, default_token_ttl } = settings.livekit;
  const inDevelopment = settings.server.environment === 'development';
  if (inDevelopment && api_key === null && api_secret === null && host !== '') {
    return { ...DEVELOPMENT_KEYS, host: host ?? DEVELOPMENT_KEYS.host, default_token_ttl };
  }
  const livekit = {
    api_key: api_key ?? '',
    api_secret: api_secret ?? '',
    host: host ?? (inDevelopment && (api_key || api_secret) ? DEVELOPMENT_KEYS.host : ''),
    default_token_ttl,
  };
  const keys = ['api_key', 'api_secret', 'host'] as const;
  const present = keys.find((key) => livekit[key] !== '');
  if (present) {
    for (const key of keys) {
      if (livekit[key] === '') findings.problem(`livekit.${present}`, missing(`livekit.${key}`));
    }
  }
  if (!inDevelopment && livekit.api_secret === DEVELOPMENT_KEYS.api_secret) {
    findings.warning(
      'livekit.api_secret',
      'the documented development secret in production: anyone can make tokens; set your own',
    );
  }
  return livekit;
}

export function checkMedia({ media }: Settings, findings: Findings): void {
  if (isIP(media.listen_ip) === 0) {
    findings.problem('media.listen_ip', `got "${media.listen_ip}"; write an IP address`);
  }
  const { rtc_port, workers, plain_rtp_first_port, plain_rtp_last_port } = media;
  if (rtc_port + workers - 1 > HIGHEST_PORT) {
    findings.problem(
      'media.rtc_port',
      `no ports are left above ${rtc_port} for ${workers} workers; write ${HIGHEST_PORT + 1 - workers} or less`,
    );
  }
  if (plain_rtp_last_port <= plain_rtp_first_port) {
    findings.problem(
      'media.plain_rtp_last_port',
      `not above media.plain_rtp_first_port, which is ${plain_rtp_first_port}`,
    );
  }
}

export function checkAdmin(settings: Settings, findings: Findings): void {
  if (settings.server.environment === 'production' && usesDefaultAdminPassword(settings)) {
    findings.warning(
      'admin.password',
      `the default password is accepted from this machine alone; set ${variableOf('admin.password')}`,
    );
  }
}

/** True while the admin's password is the documented one, which is good from the loopback address alone. */
export function usesDefaultAdminPassword({ admin }: Pick<Settings, 'admin'>): boolean {
  const setting = listSettings().find(({ name }) => name === 'admin.password');
  return admin.password === setting?.written;
}

function missing(name: SettingName): string {
  return `set without ${name}; set that too (${variableOf(name)}), or neither`;
}
