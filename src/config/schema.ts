import { z } from 'zod';
import * as k from './kinds.js';
import { listenerEntries } from './listeners.js';

interface SettingMeta {
  /** A sentence without its full stop; Markdown. */
  description: string;
  unit: string;
  /** Its value is never shown. */
  secret?: true;
  /** A second variable, which wins over `KAIROIO_<SECTION>_<KEY>`. */
  alias?: string;
  /** The unit of a bare number in that variable. */
  aliasUnit?: string;
  /** The default in words, where it depends on other keys. */
  fallback?: string;
}

/** One key. `fallback` is written as in the file; null there means "not set". */
function setting<T>(
  kind: k.Kind<T>,
  fallback: string | number | boolean | string[] | null,
  description: string,
  extra: Pick<SettingMeta, 'secret' | 'alias' | 'aliasUnit' | 'fallback'> = {},
) {
  const meta: SettingMeta = { description, unit: kind.unit, ...extra };
  return kind.schema.prefault(fallback).meta({ ...meta });
}

const DATABASE_PART = 'PostgreSQL without `dsn`';
const UNUSED = 'Accepted for compatibility, not used';
const AUTO_HOST = '`http://localhost:7880` in development, else empty';

/** Every key of the configuration: its default, its type, its meaning. Nothing else knows these. */
export const settingsSchema = z.object({
  server: z.object({
    host: setting(k.text('an address to listen on', /^\S+$/), '0.0.0.0', 'Address to listen on'),
    port: setting(k.integer(0, 65_535), 8080, 'Port to listen on; 0 takes any free one'),
    read_timeout: setting(
      k.duration('0s', '24h'),
      '15s',
      'Longest time to receive a request; `0s` for no limit',
    ),
    write_timeout: setting(
      k.duration('0s', '24h'),
      '15s',
      'Longest silence while an answer is sent (streams have their own rule); `0s` for no limit',
    ),
    idle_timeout: setting(
      k.duration('0s', '24h'),
      '60s',
      'How long an idle connection is kept for the next request',
    ),
    environment: setting(
      k.choice('development', 'production'),
      'development',
      'In `production` nothing is assumed for convenience: no LiveKit development keys, no codes in the log',
    ),
    trusted_proxies: setting(
      k.list(
        'a list of addresses, CIDR ranges, or loopback, linklocal, uniquelocal',
        k.isProxyRange,
      ),
      [],
      'Proxies whose `X-Forwarded-For` is believed: addresses, CIDR ranges, or `loopback`, `linklocal`, `uniquelocal`',
    ),
    public_url: setting(
      k.text(
        'a URL such as https://fleet.example.com (no slash at the end)',
        /^$|^https?:\/\/[^\s?#@]*[^\s?#@/]$/,
      ),
      '',
      'Where people reach this server, for links to its pages; empty for where the call that made the link went',
    ),
    cors_origins: setting(
      k.list(
        'a list of origins such as https://fleet.example.com (no path, no slash at the end), or *',
        isOrigin,
      ),
      ['*'],
      'Origins whose pages may read the answers; `*` is any',
    ),
    body_limit: setting(k.size('1KiB', '1GiB'), '1MiB', 'Largest request body'),
    listeners: setting(
      listenerEntries(),
      [],
      'Further addresses to listen on: `port`, and if wanted `host`, `tls` with the files `cert` and `key`, `api` to serve that one alone (kairoio, kaamos or relay)',
    ),
  }),
  http: z.object({
    fast_status: setting(
      k.boolean(),
      true,
      'A single status takes a short way; `false` sends all through the web framework, with the same answers',
    ),
    fast_trpc: setting(
      k.boolean(),
      true,
      'Ordinary tRPC calls over HTTP take a short way; `false` sends all through the library, with the same answers',
    ),
    compiled_procedures: setting(
      k.boolean(),
      true,
      'The steps of an operation are run by Fleetwire, not by the tRPC library; `false` is slower and otherwise the same',
    ),
  }),
  database: z.object({
    type: setting(k.choice('sqlite', 'postgres'), 'sqlite', 'Database engine'),
    dsn: setting(
      k.text('text', /\S/),
      'data/fleetwire.db',
      'SQLite: a path or a `file:` URL. PostgreSQL: `host=… user=… password=… dbname=…` or a `postgres://` URL',
      { secret: true },
    ),
    host: setting(k.text(), 'localhost', `${DATABASE_PART}: host, or directory of the socket`),
    port: setting(k.integer(1, 65_535), 5432, `${DATABASE_PART}: port`),
    user: setting(k.text(), '', `${DATABASE_PART}: user, required`),
    password: setting(k.text(), '', `${DATABASE_PART}: password`, { secret: true }),
    database: setting(k.text(), '', `${DATABASE_PART}: name of the database`, {
      fallback: 'the name of the user',
    }),
    max_connections: setting(
      k.integer(1, 1_000, 'connections'),
      25,
      'PostgreSQL: size of the connection pool',
    ),
    conn_max_lifetime: setting(
      k.duration('0s', '24h'),
      '5m',
      'PostgreSQL: age at which a connection is replaced; `0s` for never',
    ),
  }),
  auth: z.object({
    token_ttl: setting(
      k.duration('0s', '8760h'),
      '24h',
      `${UNUSED}: certification keys are permanent`,
    ),
    password_cost: setting(
      k.integer(4, 31, 'bcrypt cost'),
      12,
      `${UNUSED}: passwords are hashed with argon2id`,
    ),
  }),
  admin: z.object({
    username: setting(
      k.text('text that is not empty', /\S/),
      'kairoio',
      'Name of the built-in admin',
    ),
    password: setting(
      k.text('text that is not empty', /\S/),
      'kairoio',
      'Password of the built-in admin; the default one is accepted from this machine alone',
      { secret: true },
    ),
  }),
  access: z.object({
    anonymous: setting(
      k.choice('loopback', 'everyone', 'nobody'),
      'loopback',
      'Who may use video rooms and calls without a credential; `loopback` is this machine alone, and not through a proxy',
    ),
  }),
  email: z.object({
    smtp_host: setting(k.text(), '', 'Mail server; empty switches mail off'),
    smtp_port: setting(k.integer(1, 65_535), 587, 'Port of the mail server'),
    from_address: setting(
      k.text('an address such as fleet@example.com', /^$|^[^@]+@[^@\s]+$/),
      'noreply@kairoio.io',
      'Sender of the mails; give one of yours together with `smtp_host`',
    ),
    username: setting(k.text(), '', 'Login at the mail server; empty for none'),
    password: setting(k.text(), '', 'Password at the mail server', { secret: true }),
    code_ttl: setting(k.duration('1s', '24h'), '20m', 'How long a verification code is good'),
  }),
  livekit: z.object({
    api_key: setting(
      k.optional(k.text()),
      null,
      'LiveKit API key; empty text switches LiveKit off',
      { secret: true, alias: 'LIVEKIT_API_KEY', fallback: '`devkey` in development, else empty' },
    ),
    api_secret: setting(k.optional(k.text()), null, 'LiveKit API secret', {
      secret: true,
      alias: 'LIVEKIT_API_SECRET',
      fallback: '`secret` in development, else empty',
    }),
    host: setting(
      k.optional(
        k.text(
          'a URL such as https://livekit.example.com or wss://…',
          /^$|^(https?|wss?):\/\/[^\s/?#@]+\/?$/,
        ),
      ),
      null,
      'LiveKit server',
      { alias: 'LIVEKIT_SERVER_URL', fallback: AUTO_HOST },
    ),
    default_token_ttl: setting(
      k.duration('1s', '8760h'),
      '1h',
      'Lifetime of a LiveKit token that asks for none; `LIVEKIT_DEFAULT_TOKEN_TTL` may also be a bare number of seconds',
      { alias: 'LIVEKIT_DEFAULT_TOKEN_TTL', aliasUnit: 's' },
    ),
  }),
  features: z.object({
    email_verification_required: setting(
      k.boolean(),
      true,
      'Registration asks for a code sent by mail',
    ),
    robot_quota_enabled: setting(k.boolean(), true, 'Apply `limits.robots_per_account`'),
    rate_limiting_enabled: setting(k.boolean(), true, 'Apply the rate limits, of every API'),
    registration_enabled: setting(k.boolean(), false, 'Anyone may register an account'),
  }),
  limits: z.object({
    robots_per_account: setting(
      k.integer(1, 1_000_000, 'robots'),
      1_000,
      'Robots that an account may have',
    ),
    commands_per_robot: setting(
      k.integer(1, 100_000, 'commands'),
      1_000,
      'Unfinished commands that a robot may have',
    ),
    requests_per_second: setting(
      k.integer(1, 1_000_000, 'requests per second'),
      200,
      'Requests of one credential',
    ),
    requests_per_second_per_ip: setting(
      k.integer(1, 1_000_000, 'requests per second'),
      2_000,
      'Requests from one address',
    ),
    logins_per_minute: setting(
      k.integer(1, 1_000_000, 'logins per minute'),
      10,
      'Logins from one address',
    ),
    maps_per_account: setting(
      k.integer(1, 1_000_000, 'maps'),
      1_000,
      'Maps that an account may have',
    ),
    ingest_queue: setting(
      k.integer(1_000, 10_000_000, 'rows'),
      10_000,
      'Rows that may wait for the database before the answer is 503; a whole batch must fit in',
    ),
    stream_buffer: setting(
      k.size('16KiB', '1GiB'),
      '1MiB',
      'What may wait for one slow viewer of a stream',
    ),
    sockets_per_ip: setting(
      k.integer(1, 1_000_000, 'sockets'),
      100,
      'WebSockets open at once from one address, and as many event streams and sessions in video rooms',
    ),
  }),
  realtime: z.object({
    native_frames: setting(
      k.boolean(),
      true,
      'Events go to their viewers as ready bytes, past the tRPC library; off is slower and otherwise the same',
    ),
  }),
  presence: z.object({
    timeout: setting(
      k.duration('1s', '24h'),
      '30s',
      'Silence after which a robot is stale; after three times that it is offline',
    ),
  }),
  ingest: z.object({
    strict: setting(
      k.boolean(),
      false,
      'Refuse a status whose known keys have a wrong value, instead of a warning',
    ),
  }),
  maps: z.object({
    upload_limit: setting(
      k.size('1KiB', '1GiB'),
      '10MiB',
      'Largest body of a map upload, image and YAML together',
    ),
    pixel_limit: setting(
      k.integer(1, 1_000_000_000, 'pixels'),
      100_000_000,
      'Pixels that a map may have',
    ),
  }),
  media: z.object({
    enabled: setting(
      k.boolean(),
      true,
      'Video rooms, embedded; without their worker they stay off',
    ),
    workers: setting(
      k.integer(0, 64, 'processes'),
      0,
      'Processes that carry audio and video, from the first room on; 0 is one for each core',
    ),
    rtc_port: setting(
      k.integer(0, 65_535),
      44_444,
      'UDP and TCP port that audio and video come to; each further process has the next one; 0 takes any free ones',
    ),
    listen_ip: setting(
      k.text('an IP address', /^[\da-f:.]+$/i),
      '0.0.0.0',
      'Address that audio and video come to; `0.0.0.0` is every one of this machine, `::` also those of IPv6',
    ),
    announced_address: setting(
      k.text('an address or a host name', /^[\w.:-]*$/),
      '',
      'Address that clients are told instead, behind NAT and in containers; empty for those listened on',
    ),
    max_rooms: setting(k.integer(1, 100_000, 'rooms'), 1_000, 'Rooms open at once'),
    max_members: setting(k.integer(1, 1_000, 'members'), 100, 'Members that any room may have'),
    max_members_per_account: setting(
      k.integer(1, 100_000, 'members'),
      1_000,
      'Members that the rooms of an account may have together',
    ),
    max_sender_kbps: setting(
      k.integer(100, 1_000_000, 'kbit/s'),
      10_000,
      'What one member may send',
    ),
    plain_rtp: setting(
      k.boolean(),
      false,
      'Robots may send plain RTP, not encrypted, from their address to a port they ask for',
    ),
    plain_rtp_first_port: setting(k.integer(1, 65_535), 40_000, 'First port for plain RTP, UDP'),
    plain_rtp_last_port: setting(
      k.integer(1, 65_535),
      40_199,
      'Last port for plain RTP; a track takes two',
    ),
    jpeg_limit: setting(
      k.size('1KiB', '64MiB'),
      '1MiB',
      'Largest JPEG frame of a robot; the newest of each is kept in memory',
    ),
    jpeg_fps: setting(
      k.integer(1, 240, 'frames per second'),
      30,
      'JPEG frames that one robot may send',
    ),
    mjpeg_readers: setting(
      k.integer(1, 10_000, 'readers'),
      20,
      'Readers of the JPEG frames of one robot at once',
    ),
  }),
  rooms: z.object({
    ttl: setting(k.duration('1m', '8760h'), '24h', 'How long a room can be entered'),
    max_members: setting(
      k.integer(2, 1_000, 'members'),
      16,
      'Members that a room may have; `media.max_members` holds too',
    ),
    per_account: setting(
      k.integer(1, 1_000_000, 'rooms'),
      1_000,
      'Rooms that an account may have, and that all without a credential may have together',
    ),
    born_on_join: setting(
      k.boolean(),
      false,
      'A room that nobody made comes to be when somebody enters it, under the name they chose',
    ),
    creates_per_minute: setting(
      k.integer(1, 1_000_000, 'rooms per minute'),
      5,
      'Rooms made from one address, in the long run',
    ),
    reads_per_minute: setting(
      k.integer(1, 1_000_000, 'requests per minute'),
      10,
      'Questions about rooms from one address, in the long run',
    ),
    joins_per_minute: setting(
      k.integer(1, 1_000_000, 'entries per minute'),
      3,
      'Times that an address enters rooms, in the long run',
    ),
    burst: setting(
      k.integer(1, 1_000_000, 'calls'),
      10,
      'Calls of each of these three kinds that may come at once',
    ),
  }),
  retention: z.object({
    status_days: setting(
      k.days(36_500),
      null,
      'Age at which statuses are deleted; 0 or empty keeps them',
    ),
    log_days: setting(
      k.days(36_500),
      null,
      'Age at which robot logs are deleted; 0 or empty keeps them',
    ),
    message_days: setting(
      k.days(36_500),
      null,
      'Age at which messages of robots are deleted; 0 or empty keeps them',
    ),
    event_days: setting(
      k.days(36_500),
      30,
      'How long the changes of alerts and commands can be replayed to those who watch them; 0 or empty keeps them',
    ),
    audit_days: setting(
      k.days(36_500),
      365,
      'Age at which entries of the audit are deleted; 0 or empty keeps them',
    ),
  }),
  notifications: z.object({
    allow_private_targets: setting(
      k.boolean(),
      false,
      'Webhooks may go to this machine and to private networks, and without TLS in production too',
    ),
  }),
  log: z.object({
    level: setting(
      k.choice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
      'info',
      'Least severe lines that are written',
    ),
  }),
});

/** The values of all keys, each by itself right; what belongs together is checked in checks.ts and database.ts. */
export type Settings = z.output<typeof settingsSchema>;

/** `section.key` */
export type SettingName = {
  [S in keyof Settings]: `${S}.${keyof Settings[S] & string}`;
}[keyof Settings];

export interface Setting extends SettingMeta {
  section: string;
  key: string;
  name: SettingName;
  /** The variables that set it; the first wins. */
  variables: string[];
  /** As written in the file; null is not set. */
  written: unknown;
}

export function listSettings(): Setting[] {
  return Object.entries(settingsSchema.shape).flatMap(([section, { shape }]) =>
    Object.entries<ReturnType<typeof setting>>(shape).map(([key, schema]) => {
      // Every key is made by setting(), which attaches exactly this.
      const meta = schema.meta() as unknown as SettingMeta;
      const variable = `KAIROIO_${section}_${key}`.toUpperCase();
      return {
        ...meta,
        section,
        key,
        name: `${section}.${key}` as SettingName,
        variables: meta.alias ? [meta.alias, variable] : [variable],
        written: schema.def.defaultValue,
      };
    }),
  );
}

/** The variable that wins for a key. */
export function variableOf(name: SettingName): string {
  return listSettings().find((setting) => setting.name === name)?.variables[0] ?? name;
}

function isOrigin(item: string): boolean {
  return item === '*' || /^[a-z][a-z\d+.-]*:\/\/[^\s/?#@]+$/i.test(item);
}
