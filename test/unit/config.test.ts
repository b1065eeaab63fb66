import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { listSettings } from '../../src/config/schema.js';
import { parseDuration, parseSize } from '../../src/config/units.js';
import { parseYaml } from '../../src/config/yaml.js';
import {
  CONFIG_FILE_VARIABLE,
  ConfigError,
  configTable,
  DEFAULT_CONFIG_FILE,
  loadConfig,
  usesDefaultAdminPassword,
} from '../../src/config.js';

type Env = Record<string, string | undefined>;

function load(env: Env, text?: string) {
  return loadConfig(text === undefined ? { env } : { env, file: { path: 'config.yaml', text } });
}

/** The lines of the refusal, or [] when there is none. */
function problemsOf(env: Env, text?: string): string[] {
  try {
    load(env, text);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.message).toBe(error.problems.join('\n'));
    return error.message.split('\n');
  }
}

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

const DEFAULTS = {
  server: {
    host: '0.0.0.0',
    port: 8080,
    read_timeout: 15_000,
    write_timeout: 15_000,
    idle_timeout: 60_000,
    environment: 'development',
    trusted_proxies: [],
    public_url: '',
    cors_origins: ['*'],
    body_limit: 1_048_576,
    listeners: [],
  },
  http: { fast_status: true, fast_trpc: true, compiled_procedures: true },
  database: { type: 'sqlite', path: 'data/fleetwire.db' },
  auth: { token_ttl: 86_400_000, password_cost: 12 },
  admin: { username: 'kairoio', password: 'kairoio' },
  access: { anonymous: 'loopback' },
  email: {
    smtp_host: '',
    smtp_port: 587,
    from_address: 'noreply@kairoio.io',
    username: '',
    password: '',
    code_ttl: 1_200_000,
  },
  livekit: {
    api_key: 'devkey',
    api_secret: 'secret',
    host: 'http://localhost:7880',
    default_token_ttl: 3_600_000,
  },
  features: {
    email_verification_required: true,
    robot_quota_enabled: true,
    rate_limiting_enabled: true,
    registration_enabled: false,
  },
  limits: {
    robots_per_account: 1_000,
    commands_per_robot: 1_000,
    requests_per_second: 200,
    requests_per_second_per_ip: 2_000,
    logins_per_minute: 10,
    ingest_queue: 10_000,
    maps_per_account: 1_000,
    stream_buffer: 1_048_576,
    sockets_per_ip: 100,
  },
  realtime: { native_frames: true },
  presence: { timeout: 30_000 },
  ingest: { strict: false },
  maps: { upload_limit: 10_485_760, pixel_limit: 100_000_000 },
  media: {
    enabled: true,
    workers: 0,
    rtc_port: 44_444,
    listen_ip: '0.0.0.0',
    announced_address: '',
    max_rooms: 1_000,
    max_members: 100,
    max_members_per_account: 1_000,
    max_sender_kbps: 10_000,
    plain_rtp: false,
    plain_rtp_first_port: 40_000,
    plain_rtp_last_port: 40_199,
    jpeg_limit: 1_048_576,
    jpeg_fps: 30,
    mjpeg_readers: 20,
  },
  rooms: {
    ttl: 86_400_000,
    max_members: 16,
    per_account: 1_000,
    born_on_join: false,
    creates_per_minute: 5,
    reads_per_minute: 10,
    joins_per_minute: 3,
    burst: 10,
  },
  retention: {
    status_days: null,
    log_days: null,
    message_days: null,
    event_days: 30,
    audit_days: 365,
  },
  notifications: { allow_private_targets: false },
  log: { level: 'info' },
};

/** As the original server documents it. */
const ORIGINAL_FILE = `
server:
  host: "0.0.0.0"           # Bind address
  port: 8080                # HTTP port
  read_timeout: 15s
  write_timeout: 15s
  idle_timeout: 60s
database:
  type: "sqlite"
  dsn: "kairoio.db"
  max_connections: 25
  conn_max_lifetime: 5m
auth:
  token_ttl: 24h
  password_cost: 12
admin:
  username: "kairoio"
  password: "kairoio"
email:
  smtp_host: "smtp.gmail.com"
  smtp_port: 587
  from_address: "noreply@kairoio.io"
  username: ""
  password: ""
  code_ttl: 20m
livekit:
  api_key: "devkey"
  api_secret: "secret"
  host: "http://localhost:7880"
features:
  email_verification_required: true
  robot_quota_enabled: true
  rate_limiting_enabled: true
`;

describe('a good configuration', () => {
  it("takes the original's variables as they are, with a warning where they leave something out", () => {
    const { config, warnings } = load({
      KAIROIO_SERVER_HOST: '0.0.0.0',
      KAIROIO_SERVER_PORT: '8080',
      KAIROIO_DATABASE_TYPE: 'postgres',
      KAIROIO_DATABASE_DSN: 'host=localhost user=kairoio password=secret dbname=kairoio',
      KAIROIO_ADMIN_USERNAME: 'admin',
      KAIROIO_ADMIN_PASSWORD: 'secure_password',
      KAIROIO_EMAIL_SMTP_HOST: 'smtp.gmail.com',
      KAIROIO_EMAIL_PASSWORD: 'app_password',
    });
    expect(config.email).toMatchObject({ smtp_host: 'smtp.gmail.com', username: '' });
    expect(warnings).toEqual([
      'KAIROIO_EMAIL_SMTP_HOST, email.smtp_host: mails come from noreply@kairoio.io; set email.from_address to an address of yours',
      'KAIROIO_EMAIL_PASSWORD, email.password: not used without email.username; set that too, or neither',
    ]);
  });

  it('needs neither file nor variables', () => {
    expect(load({})).toEqual({ config: DEFAULTS, warnings: [] });
    expect(load({}, '')).toEqual({ config: DEFAULTS, warnings: [] });
    expect(load({}, '# nothing\nserver:\n')).toEqual({ config: DEFAULTS, warnings: [] });
  });

  it("takes the original's file as it is", () => {
    const { config, warnings } = load({}, ORIGINAL_FILE);
    expect(warnings).toEqual([]);
    expect(config).toEqual({
      ...DEFAULTS,
      database: { type: 'sqlite', path: 'kairoio.db' },
      email: { ...DEFAULTS.email, smtp_host: 'smtp.gmail.com' },
    });
  });

  it('lets variables override the file, and empty ones not', () => {
    const { config } = load(
      {
        KAIROIO_SERVER_PORT: '9000',
        KAIROIO_SERVER_HOST: '',
        KAIROIO_SERVER_READ_TIMEOUT: '1h30m',
        KAIROIO_SERVER_BODY_LIMIT: '512KiB',
        KAIROIO_SERVER_TRUSTED_PROXIES: '10.0.0.0/8, ::1 ,loopback',
        KAIROIO_FEATURES_REGISTRATION_ENABLED: '1',
        KAIROIO_FEATURES_ROBOT_QUOTA_ENABLED: 'false',
        KAIROIO_RETENTION_STATUS_DAYS: '30',
        KAIROIO_RETENTION_LOG_DAYS: '0',
        [CONFIG_FILE_VARIABLE]: 'elsewhere.yaml',
      },
      'server: {host: 127.0.0.1, port: 1, cors_origins: [https://a.example, "capacitor://localhost"]}\n' +
        'retention: {log_days: 7}\nlimits: {stream_buffer: 65536}',
    );
    expect(config.server).toMatchObject({
      host: '127.0.0.1',
      port: 9000,
      read_timeout: 5_400_000,
      body_limit: 524_288,
      trusted_proxies: ['10.0.0.0/8', '::1', 'loopback'],
      cors_origins: ['https://a.example', 'capacitor://localhost'],
    });
    expect(config.features.registration_enabled).toBe(true);
    expect(config.features.robot_quota_enabled).toBe(false);
    expect(config.retention).toMatchObject({ status_days: 30, log_days: null });
    expect(config.limits.stream_buffer).toBe(65_536);
  });

  it('has a variable for every key, which replaces a wrong value in the file', () => {
    for (const { section, key, variables } of listSettings()) {
      const variable = variables.at(-1) as string;
      expect(variable).toBe(`KAIROIO_${section}_${key}`.toUpperCase());
      const wrong = `${section}: {${key}: {}}`;
      expect(problemsOf({}, wrong).join(), variable).toContain(`${section}.${key}`);
      expect(problemsOf({ [variable]: ' ' }, wrong).join(), variable).not.toContain('config.yaml');
    }
  });

  it('prefers the LIVEKIT_ names, whose lifetime may be bare seconds', () => {
    const twins = {
      KAIROIO_LIVEKIT_API_KEY: 'k1',
      KAIROIO_LIVEKIT_API_SECRET: 's1',
      KAIROIO_LIVEKIT_HOST: 'https://one.example',
      KAIROIO_LIVEKIT_DEFAULT_TOKEN_TTL: '2h',
    };
    expect(load(twins).config.livekit).toEqual({
      api_key: 'k1',
      api_secret: 's1',
      host: 'https://one.example',
      default_token_ttl: 7_200_000,
    });
    const { config } = load({
      ...twins,
      LIVEKIT_API_KEY: 'k2',
      LIVEKIT_API_SECRET: 's2',
      LIVEKIT_SERVER_URL: 'wss://two.example',
      LIVEKIT_DEFAULT_TOKEN_TTL: '3600',
    });
    expect(config.livekit).toEqual({
      api_key: 'k2',
      api_secret: 's2',
      host: 'wss://two.example',
      default_token_ttl: 3_600_000,
    });
    expect(problemsOf({ KAIROIO_LIVEKIT_DEFAULT_TOKEN_TTL: '3600' })).toEqual([
      'KAIROIO_LIVEKIT_DEFAULT_TOKEN_TTL, livekit.default_token_ttl: got "3600"; write a duration ' +
        'from 1s to 8760h with its unit, such as 15s, 5m or 1h30m (a bare number has no unit)',
    ]);
  });

  it('takes the LiveKit development keys in development alone', () => {
    const none = { api_key: '', api_secret: '', host: '', default_token_ttl: 3_600_000 };
    expect(load({ KAIROIO_SERVER_ENVIRONMENT: 'production' }).config.livekit).toEqual(none);
    expect(load({}, 'livekit: {api_key: ""}').config.livekit).toEqual(none);
    expect(load({ LIVEKIT_SERVER_URL: 'http://livekit:7880' }).config.livekit).toEqual({
      ...DEFAULTS.livekit,
      host: 'http://livekit:7880',
    });
  });
});

describe('a bad configuration', () => {
  it.each([
    ['listen_ip: localhost', 'got "localhost"; write an IP address'],
    ['listen_ip: 10.0.0.256', 'got "10.0.0.256"; write an IP address'],
    ['announced_address: "http://fleet.example"', 'write an address or a host name'],
    [
      'rtc_port: 65530\n  workers: 8',
      'no ports are left above 65530 for 8 workers; write 65528 or less',
    ],
    ['plain_rtp_first_port: 50000', 'not above media.plain_rtp_first_port, which is 50000'],
  ])('of media is refused: %j', (text, reason) => {
    const problems = problemsOf({}, `media:\n  ${text}`);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(reason);
  });

  it('is refused with all problems at once', () => {
    const text = [
      'server:',
      '  port: 99999',
      '  read_timeout: 15',
      '  cors_origins: [https://a.example/, "*"]',
      'database:',
      '  type: mysql',
      '  max_connections: many',
      'admin:',
      '  password: 123456',
      'email:',
      '  username: mailer',
      'limits: 5',
    ].join('\n');
    const env = {
      KAIROIO_SERVER_BODY_LIMIT: '1MB',
      KAIROIO_INGEST_STRICT: 'yes',
      KAIROIO_RETENTION_LOG_DAYS: '-1',
      LIVEKIT_API_KEY: 'APIabc',
    };
    expect(problemsOf(env, text)).toEqual([
      'config.yaml line 12, limits: not a map; write its keys below it, such as robots_per_account',
      'config.yaml line 2, server.port: got 99999; write a whole number from 0 to 65535',
      'config.yaml line 3, server.read_timeout: got 15; write a duration from 0s to 24h with its unit, ' +
        'such as 15s, 5m or 1h30m (a bare number has no unit)',
      'config.yaml line 4, server.cors_origins: got ["https://a.example/", "*"]; write a list of origins ' +
        'such as https://fleet.example.com (no path, no slash at the end), or *',
      'KAIROIO_SERVER_BODY_LIMIT, server.body_limit: got "1MB"; write a size from 1KiB to 1GiB: a number ' +
        'of bytes, or one such as 512KiB or 1MiB',
      'config.yaml line 6, database.type: got "mysql"; write sqlite or postgres',
      'config.yaml line 7, database.max_connections: got "many"; write a whole number from 1 to 1000',
      'config.yaml line 9, admin.password: got a number (not shown); write text that is not empty (a ' +
        'number or a word like true needs quotes)',
      'KAIROIO_INGEST_STRICT, ingest.strict: got "yes"; write true or false',
      'KAIROIO_RETENTION_LOG_DAYS, retention.log_days: got "-1"; write a whole number of days from 1 to ' +
        '36500, or 0 for off',
      'config.yaml line 11, email.username: set without email.smtp_host; set that too ' +
        '(KAIROIO_EMAIL_SMTP_HOST), or neither',
      'config.yaml line 11, email.username: set without email.password; set that too ' +
        '(KAIROIO_EMAIL_PASSWORD), or neither',
      'LIVEKIT_API_KEY, livekit.api_key: set without livekit.api_secret; set that too ' +
        '(LIVEKIT_API_SECRET), or neither',
    ]);
  });

  it('does not call a value missing that could not be read', () => {
    const text =
      'email:\n  username: 5\n  password: x\n  smtp_host: mail.example\n  from_address: a@b';
    expect(problemsOf({}, text)).toEqual([
      'config.yaml line 2, email.username: got 5; write text (a number or a word like true needs quotes)',
    ]);
    for (const unread of ['email: {username: "a}', 'email: 3', '- email']) {
      const problems = problemsOf({ KAIROIO_EMAIL_PASSWORD: 'x' }, unread);
      expect(problems.length).toBeGreaterThan(0);
      expect(problems.filter((problem) => !problem.startsWith('config.yaml'))).toEqual([]);
    }
  });

  it.each([
    ['server:\n\tport: 1', 'line 2, column 1: indented with a tab; use blanks'],
    ['log: {level: info}\nlog: {}', 'line 2, column 1: this key is there twice; keep one'],
    [
      'admin:\n  password: @x',
      "line 2, column 13: a value cannot start with this character; put it in 'quotes'",
    ],
    [
      'admin:\n  password: *x',
      "line 2, column 13: a value that starts with * is a YAML alias of nothing; put it in 'quotes'",
    ],
    [
      'admin:\n  password: &x',
      "line 2, column 13: a value that starts with & is a YAML anchor of nothing; put it in 'quotes'",
    ],
    [
      'admin:\n  password: !x',
      "line 2, column 13: a value that starts with ! is a YAML tag; put it in 'quotes'",
    ],
    [
      'log: {}\n---\nlog: {}',
      'line 2, column 1: a second document starts here; keep one, without ---',
    ],
  ])('names line and column of broken syntax: %j', (text, problem) => {
    expect(problemsOf({}, text)).toEqual([`config.yaml ${problem}`]);
  });

  it('refuses a file that is no map', () => {
    expect(problemsOf({}, '- server')).toEqual([
      'config.yaml: not a map; write sections such as server: with keys below',
    ]);
  });

  it.each<[Env, string[]]>([
    [
      {
        KAIROIO_EMAIL_SMTP_HOST: 'mail.example',
        KAIROIO_EMAIL_FROM_ADDRESS: 'Fleet <a@b.example>',
      },
      [],
    ],
    [
      { LIVEKIT_API_SECRET: 'x' },
      [
        'LIVEKIT_API_SECRET, livekit.api_secret: set without livekit.api_key; set that too (LIVEKIT_API_KEY), or neither',
      ],
    ],
    [{ LIVEKIT_API_KEY: 'k', LIVEKIT_API_SECRET: 'x' }, []],
    [
      { LIVEKIT_API_KEY: 'k', LIVEKIT_API_SECRET: 'x', KAIROIO_SERVER_ENVIRONMENT: 'production' },
      [
        'LIVEKIT_API_KEY, livekit.api_key: set without livekit.host; set that too (LIVEKIT_SERVER_URL), or neither',
      ],
    ],
    [
      { LIVEKIT_SERVER_URL: 'wss://x.example', KAIROIO_SERVER_ENVIRONMENT: 'production' },
      [
        'LIVEKIT_SERVER_URL, livekit.host: set without livekit.api_key; set that too (LIVEKIT_API_KEY), or neither',
        'LIVEKIT_SERVER_URL, livekit.host: set without livekit.api_secret; set that too (LIVEKIT_API_SECRET), or neither',
      ],
    ],
  ])('wants groups whole: %j', (env, problems) => {
    expect(problemsOf(env)).toEqual(problems);
  });
});

describe('warnings', () => {
  it('name unknown keys, sections and variables, with the likely right one', () => {
    const text = [
      'srever: {port: 1}',
      'port: 1',
      'livekitt: {}',
      'zebra: 1',
      'server:',
      '  read_timout: 5s',
      '  smtp_host: x',
      '  colour: blue',
    ].join('\n');
    const env = {
      KAIROIO_SERVER_PROT: '1',
      KAIROIO_LIMITS_ROBOT_PER_ACCOUNT: '5',
      KAIROIO_ZEBRA: '1',
      KAIROIO_EMPTY: '',
      OTHER_VARIABLE: '1',
      KAIROIO_CONFIG: 'config.yaml',
    };
    expect(load(env, text).warnings).toEqual([
      'config.yaml line 1: unknown section srever (did you mean server?)',
      'config.yaml line 2: unknown section port',
      'config.yaml line 3: unknown section livekitt (did you mean livekit?)',
      'config.yaml line 4: unknown section zebra',
      'config.yaml line 6: unknown key server.read_timout (did you mean server.read_timeout?)',
      'config.yaml line 7: unknown key server.smtp_host (did you mean email.smtp_host?)',
      'config.yaml line 8: unknown key server.colour',
      'KAIROIO_LIMITS_ROBOT_PER_ACCOUNT: unknown variable (did you mean KAIROIO_LIMITS_ROBOTS_PER_ACCOUNT?)',
      'KAIROIO_SERVER_PROT: unknown variable (did you mean KAIROIO_SERVER_PORT?)',
      'KAIROIO_ZEBRA: unknown variable',
    ]);
    expect(load({}, 'registration_enabled: true').warnings).toEqual([
      'config.yaml line 1: unknown section registration_enabled (did you mean features.registration_enabled?)',
    ]);
  });

  it('come with a refusal too, because a misspelt key explains it', () => {
    const text = 'email: {smpt_host: m.example, username: u, password: p}';
    try {
      load({}, text);
      expect.unreachable();
    } catch (error) {
      expect((error as ConfigError).warnings).toEqual([
        'config.yaml line 1: unknown key email.smpt_host (did you mean email.smtp_host?)',
      ]);
    }
  });

  it('tell what is unsafe or without effect in production', () => {
    const production = { KAIROIO_SERVER_ENVIRONMENT: 'production' };
    expect(load(production).warnings).toEqual([
      'admin.password: the default password is accepted from this machine alone; set KAIROIO_ADMIN_PASSWORD',
    ]);
    const own = { ...production, KAIROIO_ADMIN_PASSWORD: 'own' };
    expect(load(own).warnings).toEqual([]);
    expect(usesDefaultAdminPassword(load({}).config)).toBe(true);
    expect(usesDefaultAdminPassword(load(own).config)).toBe(false);
    expect(load(own, ORIGINAL_FILE).warnings).toEqual([
      'config.yaml line 28, livekit.api_secret: the documented development secret in production: anyone ' +
        'can make tokens; set your own',
    ]);
    expect(load({ ...own, KAIROIO_FEATURES_REGISTRATION_ENABLED: 'true' }).warnings).toEqual([
      'KAIROIO_FEATURES_REGISTRATION_ENABLED, features.registration_enabled: nobody can register: codes go ' +
        'by mail and email.smtp_host is not set',
    ]);
  });
});

describe('database', () => {
  const POSTGRES = { KAIROIO_DATABASE_TYPE: 'postgres' };
  const DB = {
    host: 'db',
    port: 5433,
    user: 'fleet',
    password: 'x',
    database: 'robots',
    ssl: false,
  };

  function sqlitePath(dsn: string) {
    return load({ KAIROIO_DATABASE_DSN: dsn }).config.database;
  }
  function connection(dsn: string) {
    const { database } = load({ ...POSTGRES, KAIROIO_DATABASE_DSN: dsn }).config;
    return database.type === 'postgres' ? database.connection : undefined;
  }

  it.each([
    ['kairoio.db', 'kairoio.db'],
    ['/var/lib/fleet wire.db', '/var/lib/fleet wire.db'],
    ['file:data/a%20b.db', 'data/a b.db'],
    ['file:///var/lib/a.db', '/var/lib/a.db'],
    ['file://localhost/var/lib/a.db', '/var/lib/a.db'],
    ['file:/var/lib/a.db', '/var/lib/a.db'],
  ])('reads the SQLite dsn %s', (dsn, path) => {
    expect(sqlitePath(dsn)).toEqual({ type: 'sqlite', path });
  });

  it('does not use the options of a SQLite dsn, and says so', () => {
    const { config, warnings } = load({ KAIROIO_DATABASE_DSN: 'file:a.db?_fk=1' });
    expect(config.database).toEqual({ type: 'sqlite', path: 'a.db' });
    expect(warnings).toEqual([
      'KAIROIO_DATABASE_DSN, database.dsn: what follows the ? is not used',
    ]);
  });

  it.each([
    [':memory:', 'a database in memory cannot work'],
    ['file::memory:?cache=shared', 'a database in memory cannot work'],
    ['file:x.db?mode=memory', 'a database in memory cannot work'],
    ['file://server/x.db', 'no usable path'],
    ['file:%zz', 'no usable path'],
    ['mysql://u@h/d', 'a database that is not supported'],
    ['postgres://u@h/d', 'set database.type: postgres'],
    ['host=h user=u', 'set database.type: postgres'],
  ])('refuses the SQLite dsn %s', (dsn, reason) => {
    const problems = problemsOf({ KAIROIO_DATABASE_DSN: dsn });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('KAIROIO_DATABASE_DSN, database.dsn: ');
    expect(problems[0]).toContain(reason);
  });

  it.each([
    ['host=db user=fleet password=x dbname=robots port=5433 sslmode=disable', DB],
    ["  host = db user='fleet'\tpassword=x\n dbname=robots port=5433 ", DB],
    [
      "host=db user=fleet password='it\\'s a \\\\ secret' dbname=robots port=5433",
      { ...DB, password: "it's a \\ secret" },
    ],
    ["host=db user=fleet password='' dbname=robots port=5433", { ...DB, password: '' }],
    ["host=db user=fleet password=a=b'c dbname=robots port=5433", { ...DB, password: "a=b'c" }],
    ['user=fleet', { ...DB, host: 'localhost', port: 5432, password: '', database: 'fleet' }],
    ['postgres://fleet:x@db:5433/robots', DB],
    [
      'postgresql://fleet:p%40s%2Fs@db:5433/robots?sslmode=verify-full',
      { ...DB, password: 'p@s/s', ssl: { rejectUnauthorized: true } },
    ],
    [
      'postgres://fleet:x@[::1]:5433/robots?sslmode=require',
      { ...DB, host: '::1', ssl: { rejectUnauthorized: false } },
    ],
    [
      'postgres:///robots?host=/var/run/postgresql&port=5433&user=fleet&password=x',
      { ...DB, host: '/var/run/postgresql' },
    ],
    [
      "host=db user=fleet password=x dbname=robots port=5433 TimeZone=Asia/Taipei search_path='a, b' connect_timeout=3 application_name=f",
      {
        ...DB,
        application_name: 'f',
        connectionTimeoutMillis: 3_000,
        options: '-c search_path=a,\\ b -c timezone=Asia/Taipei',
      },
    ],
  ])('reads the PostgreSQL dsn %s', (dsn, expected) => {
    expect(connection(dsn)).toEqual(expected);
  });

  it.each([
    ['data/fleetwire.db', ['names no PostgreSQL database']],
    ['host=h user=u pasword=x', ['a keyword is not known (did you mean password?)']],
    ['host=h user=u password=two words dbname=d', ['cannot be read after setting 3']],
    ["host=h user=u password='open dbname=d", ['cannot be read after setting 2']],
    ['host=h user=u password= dbname=d', ["setting 3 has no value; write '' for an empty one"]],
    [
      'host=h port=x sslmode=on connect_timeout=1s',
      ['port is not', 'connect_timeout is not', 'sslmode is not one of', 'names no user'],
    ],
    ['postgres://u:p#w@h/d', ['not a URL like']],
    ['postgres://u:1/w@h/d', ['not a URL like']],
    ['postgres://u:%zz@h/d', ['its password has a % that starts no code']],
  ])('refuses the PostgreSQL dsn %s', (dsn, reasons) => {
    const problems = problemsOf({ ...POSTGRES, KAIROIO_DATABASE_DSN: dsn });
    expect(problems).toHaveLength(reasons.length);
    for (const [n, reason] of reasons.entries()) {
      expect(problems[n]).toContain(`KAIROIO_DATABASE_DSN, database.dsn: ${reason}`);
    }
  });

  it('builds a connection from separate keys', () => {
    const text = 'database: {type: postgres, host: db, port: 5433, user: fleet, database: robots}';
    expect(load({ KAIROIO_DATABASE_PASSWORD: 'x' }, text).config.database).toEqual({
      type: 'postgres',
      connection: DB,
      max_connections: 25,
      conn_max_lifetime: 300_000,
    });
    expect(problemsOf(POSTGRES)).toEqual([
      'KAIROIO_DATABASE_TYPE, database.type: PostgreSQL needs to know where to connect and as whom; set ' +
        'database.dsn, or database.host, user, password and database (user is missing)',
    ]);
  });

  it('says when separate keys have no effect, and lets a host win over a dsn that cannot be meant', () => {
    const parts = {
      KAIROIO_DATABASE_HOST: 'db',
      KAIROIO_DATABASE_PORT: '5433',
      KAIROIO_DATABASE_USER: 'fleet',
      KAIROIO_DATABASE_PASSWORD: 'x',
      KAIROIO_DATABASE_DATABASE: 'robots',
    };
    for (const dsn of ['data/fleetwire.db', 'user=other']) {
      expect(load({ ...POSTGRES, ...parts }, `database: {dsn: ${dsn}}`)).toMatchObject({
        config: { database: { connection: DB } },
        warnings: [
          'config.yaml line 1, database.dsn: not used; database.host and the keys beside it are',
        ],
      });
    }
    const image = { ...POSTGRES, ...parts, KAIROIO_DATABASE_DSN: '/data/fleetwire.db' };
    expect(load(image).config.database).toMatchObject({ connection: DB });
    const beside = load({
      ...POSTGRES,
      KAIROIO_DATABASE_DSN: 'user=u',
      KAIROIO_DATABASE_HOST: 'x',
    });
    expect(beside.config.database).toMatchObject({ connection: { host: 'localhost' } });
    expect(beside.warnings).toEqual([
      'KAIROIO_DATABASE_HOST, database.host: has no effect beside database.dsn',
    ]);
    expect(load({ KAIROIO_DATABASE_HOST: 'x' }).warnings).toEqual([
      'KAIROIO_DATABASE_HOST, database.host: has no effect while database.type is sqlite',
    ]);
  });
});

describe('secrets', () => {
  const MARK = 'hunter2XYZ';
  const special = fc.string({
    unit: fc.constantFrom(...'*&!@%"\'{}[]|>#?:-=\\/ ,`~$;.ab0é'),
    maxLength: 4,
  });
  const SECRETS = listSettings().filter(({ secret }) => secret);

  function everythingSaid(env: Env, text?: string): string {
    try {
      return load(env, text).warnings.join('\n');
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return [error.message, ...error.warnings, error.stack].join('\n');
    }
  }

  it('are marked', () => {
    expect(SECRETS.map(({ name }) => name)).toEqual([
      'database.dsn',
      'database.password',
      'admin.password',
      'email.password',
      'livekit.api_key',
      'livekit.api_secret',
    ]);
  });

  it('are not shown, whatever the file or the variable looks like', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SECRETS),
        special,
        special,
        fc.boolean(),
        (setting, before, after, inFile) => {
          const raw = `${before}${MARK}${after}`;
          const said = inFile
            ? everythingSaid({}, `${setting.section}:\n  ${setting.key}: ${raw}\n`)
            : everythingSaid({ [setting.variables[0] as string]: raw });
          expect(said).not.toContain(MARK);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('are not shown inside a dsn', () => {
    fc.assert(
      fc.property(
        special,
        special,
        fc.constantFrom('sqlite', 'postgres'),
        fc.boolean(),
        (before, after, type, url) => {
          const raw = `${before}${MARK}${after}`;
          const dsn = url ? `postgres://u:${raw}@h/d` : `host=h user=u password=${raw} dbname=d`;
          const said = everythingSaid({ KAIROIO_DATABASE_TYPE: type, KAIROIO_DATABASE_DSN: dsn });
          expect(said).not.toContain(MARK);
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each([
    'email:\n  smtp_port: 587\n    password:hunter2XYZ',
    'email:\n  password:hunter2XYZ',
    'email:\n  password:hunter2XYZ:\n',
    'password:hunter2XYZ: 1',
    'admin: hunter2XYZ',
    'server: {cors_origins: ["https://u:hunter2XYZ@h/"]}',
    'livekit: {host: "https://u:hunter2XYZ@h"}',
  ])('are not shown when they slip into another key: %j', (text) => {
    const said = everythingSaid({}, text);
    expect(said).not.toBe('');
    expect(said).not.toContain(MARK);
  });
});

describe('units', () => {
  it.each([
    ['500ms', 500],
    ['15s', 15_000],
    ['20m0s', 1_200_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['0s', 0],
    ['15', undefined],
    ['15 s', undefined],
    ['-5s', undefined],
    ['5d', undefined],
    ['', undefined],
  ])('duration %j is %j ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each([
    ['1048576', 1_048_576],
    ['512KiB', 524_288],
    ['1 MiB', 1_048_576],
    ['2GiB', 2_147_483_648],
    ['1MB', undefined],
    ['1.5MiB', undefined],
    ['', undefined],
  ])('size %j is %j bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });
});

describe('server.listeners', () => {
  const of = (env: Env, text?: string) => load(env, text).config.server.listeners;
  const LISTENERS = [
    { port: 8443, host: '0.0.0.0', api: null, tls: { cert: 'c.pem', key: 'k.pem' } },
    { port: 8000, host: '127.0.0.1', api: 'relay', tls: null },
  ];

  it('is a list in the file, or JSON in its variable', () => {
    const text =
      'server:\n  listeners:\n    - {port: 8443, tls: {cert: c.pem, key: k.pem}}\n' +
      '    - port: 8000\n      host: 127.0.0.1\n      api: relay\n';
    expect(of({}, text)).toEqual(LISTENERS);
    const json =
      '[{"port": 8443, "tls": {"cert": "c.pem", "key": "k.pem"}}, {"port": 8000, "host": "127.0.0.1", "api": "relay"}]';
    expect(of({ KAIROIO_SERVER_LISTENERS: json })).toEqual(LISTENERS);
    expect(of({ KAIROIO_SERVER_LISTENERS: '[]' }, text)).toEqual([]);
  });

  it('has the host of the server unless it says otherwise, and ports 0 without end', () => {
    const text = 'server: {host: 127.0.0.1, port: 0, listeners: [{port: 0}, {port: 0}]}';
    const one = { port: 0, host: '127.0.0.1', api: null, tls: null };
    expect(of({}, text)).toEqual([one, one]);
  });

  it('may share a port between addresses', () => {
    const text =
      'server: {host: 10.0.0.1, listeners: [{port: 8080, host: 10.0.0.2}, {port: 8080, host: "::1"}]}';
    expect(of({}, text)).toHaveLength(2);
  });

  it('is refused with every problem of every entry', () => {
    const text = `server:
  listeners:
    - {port: 70000, api: everything, host: "a b", tsl: {cert: c.pem}}
    - {tls: {cert: 5, kye: k.pem}}
    - {port: 8080, tls: true}
    - {port: 9000, tls: }
    - {port: 9000, host: 127.0.0.1}
`;
    const where = 'config.yaml line 2, server.listeners: entry';
    expect(problemsOf({}, text)).toEqual([
      `${where} 1, port: got 70000; write a whole number from 0 to 65535`,
      `${where} 1, api: got "everything"; write kairoio, kaamos or relay`,
      `${where} 1, host: got "a b"; write an address to listen on`,
      `${where} 1: unknown key tsl (did you mean tls?)`,
      `${where} 2, port: missing; write the port to listen on`,
      `${where} 2, tls.key: missing; write the path of a PEM file`,
      `${where} 2, tls.cert: got 5; write the path of a PEM file (a number or a word like true needs quotes)`,
      `${where} 2: unknown key tls.kye (did you mean key?)`,
      `${where} 3, port: 8080 is that of server.port already; write another one`,
      `${where} 3, tls: got true; write a map with cert and key`,
      `${where} 4, tls: got null; write a map with cert and key`,
      `${where} 5, port: 9000 is that of entry 4 already; write another one`,
    ]);
  });

  it.each(['8443', 'true', '{"port": 8443}', '[8443]', '[[]]', '[{]', `[${'{},'.repeat(16)}{}]`])(
    'is refused as %s',
    (json) => {
      const [problem, ...others] = problemsOf({ KAIROIO_SERVER_LISTENERS: json });
      expect(others).toEqual([]);
      expect(problem).toMatch(/^KAIROIO_SERVER_LISTENERS, server\.listeners: got .*; write a list/);
      expect(problemsOf({}, `server: {listeners: ${json === '[{]' ? '5' : json}}`)).toHaveLength(1);
    },
  );
});

describe('what is written down', () => {
  it('config.example.yaml has every key, in order, with its default', () => {
    const text = read('config.example.yaml');
    expect(load({}, text)).toEqual({ config: DEFAULTS, warnings: [] });
    const tree = parseYaml(text);
    const root = 'root' in tree ? (tree.root as Map<string, Map<string, unknown>>) : new Map();
    const names = [...root].flatMap(([section, keys]) =>
      [...keys.keys()].map((key) => `${section}.${key}`),
    );
    expect(names).toEqual(listSettings().map(({ name }) => name));
    expect(DEFAULT_CONFIG_FILE).toBe('config.yaml');
  });

  it('.env.example has every variable with its default', () => {
    const pairs = [...read('.env.example').matchAll(/^#([A-Z_]+)=(.*)$/gm)].map(
      ([, name, value]) => [name as string, value as string] as const,
    );
    expect(load(Object.fromEntries(pairs))).toEqual({ config: DEFAULTS, warnings: [] });
    expect(pairs.map(([name]) => name)).toEqual([
      CONFIG_FILE_VARIABLE,
      ...listSettings().flatMap(({ variables }) => variables),
    ]);
  });

  it('docs/configuration.md has the table of every key', async () => {
    const path = fileURLToPath(new URL('../../docs/configuration.md', import.meta.url));
    const current = readFileSync(path, 'utf8').replace(
      /(<!-- made by configTable.*-->\n)[\s\S]*?(<!-- end -->)/,
      (_, start: string, end: string) => `${start}\n${configTable()}\n\n${end}`,
    );
    expect(current).toContain(configTable());
    await expect(current).toMatchFileSnapshot(path);
  });

  it('describes every key', () => {
    for (const { name, description, unit } of listSettings()) {
      expect(description, name).toMatch(/^[A-Z].*[^.]$/);
      expect(`${description}${unit}`, name).not.toContain('|');
    }
  });
});
