import { didYouMean, nearest } from './suggest.js';

/** What `pg` takes. Everything is said, so that no PG… variable of the environment is asked. */
export interface PostgresConnection {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  ssl: false | { rejectUnauthorized: boolean };
  application_name?: string;
  connectionTimeoutMillis?: number;
  /** Settings of the session: `-c TimeZone=UTC …`. */
  options?: string;
}

/** Receives what is wrong, as a sentence that goes on after "database.dsn: " and quotes nothing of the dsn. */
export type Report = (sentence: string) => void;

const KEYWORDS = [
  'host',
  'port',
  'user',
  'password',
  'dbname',
  'sslmode',
  'application_name',
  'connect_timeout',
  'search_path',
  'timezone',
];
const SESSION_KEYWORDS = ['search_path', 'timezone'];
/** `allow` and `prefer` promise no encryption, and `pg` cannot try it and fall back. */
const SSL_MODES = new Map<string, PostgresConnection['ssl']>([
  ['disable', false],
  ['allow', false],
  ['prefer', false],
  ['require', { rejectUnauthorized: false }],
  ['verify-ca', { rejectUnauthorized: true }],
  ['verify-full', { rejectUnauthorized: true }],
]);
const URL_SCHEME = /^postgres(ql)?:\/\//i;
const STARTS_WITH_KEYWORD = new RegExp(`^(${KEYWORDS.join('|')})\\s*=`, 'i');
/** `keyword = value`, the value bare (a backslash escapes) or in single quotes, as libpq reads it. */
const PAIR = /\s*([^\s=']+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'(?=\s|$)|(?!')((?:[^\s\\]|\\.)+)?)\s*/gsy;
const ENCODE = 'percent-encode special characters in it (@ is %40, / is %2F, # is %23, % is %25)';

export function looksLikePostgres(dsn: string): boolean {
  return URL_SCHEME.test(dsn) || STARTS_WITH_KEYWORD.test(dsn);
}

/** Reads the keyword form of libpq or a `postgres://` URL; whatever is wrong goes to `report`. */
export function parsePostgresDsn(dsn: string, report: Report): PostgresConnection | undefined {
  const values = URL_SCHEME.test(dsn) ? readUrl(dsn, report) : readPairs(dsn, report);
  return values && toConnection(values, report);
}

function readPairs(dsn: string, report: Report): Map<string, string> | undefined {
  const values = new Map<string, string>();
  let end = 0;
  for (const [matched, keyword = '', quoted, bare = ''] of dsn.matchAll(PAIR)) {
    if (quoted === undefined && STARTS_WITH_KEYWORD.test(bare)) {
      report(`setting ${values.size + 1} has no value; write '' for an empty one`);
      return undefined;
    }
    values.set(keyword.toLowerCase(), (quoted ?? bare).replace(/\\(.)/gs, '$1'));
    end += matched.length;
  }
  if (end === dsn.length) return values;
  report(
    `cannot be read after setting ${values.size}; write keyword=value with blanks between, ` +
      "and values with blanks or quotes as 'it\\'s'",
  );
  return undefined;
}

function readUrl(dsn: string, report: Report): Map<string, string> | undefined {
  const url = URL.canParse(dsn) ? new URL(dsn) : undefined;
  const path = url?.pathname.slice(1) ?? '';
  if (url === undefined || url.hash !== '' || path.includes('/')) {
    report(`not a URL like postgres://user:password@host:5432/database; ${ENCODE}`);
    return undefined;
  }
  const parts = {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port,
    user: url.username,
    password: url.password,
    dbname: path,
  };
  const values = new Map<string, string>();
  for (const [keyword, encoded] of Object.entries(parts)) {
    const value = decodePercent(encoded);
    if (value === undefined) {
      report(`its ${keyword} has a % that starts no code; ${ENCODE}`);
      return undefined;
    }
    if (value !== '') values.set(keyword, value);
  }
  for (const [keyword, value] of url.searchParams) values.set(keyword.toLowerCase(), value);
  return values;
}

function toConnection(values: Map<string, string>, report: Report): PostgresConnection | undefined {
  let faults = 0;
  function fault(sentence: string): void {
    faults += 1;
    report(sentence);
  }
  for (const keyword of values.keys()) {
    if (KEYWORDS.includes(keyword)) continue;
    fault(
      `a keyword is not known${didYouMean(nearest(keyword, KEYWORDS))}; known are ${KEYWORDS.join(', ')}`,
    );
  }
  const port = Number(values.get('port') ?? '5432');
  if (!(Number.isInteger(port) && port >= 1 && port <= 65_535)) {
    fault('port is not a whole number from 1 to 65535');
  }
  const timeoutSeconds = Number(values.get('connect_timeout') ?? '0');
  if (!(Number.isInteger(timeoutSeconds) && timeoutSeconds >= 0)) {
    fault('connect_timeout is not a whole number of seconds');
  }
  const ssl = SSL_MODES.get(values.get('sslmode') ?? 'disable');
  if (ssl === undefined) fault(`sslmode is not one of ${[...SSL_MODES.keys()].join(', ')}`);
  const user = values.get('user');
  if (!user) fault('names no user; add user=… (or postgres://user:…@…)');
  if (faults > 0 || ssl === undefined || !user) return undefined;

  const session = SESSION_KEYWORDS.flatMap((keyword) => {
    const value = values.get(keyword)?.replace(/[\\\s]/g, '\\$&');
    return value === undefined ? [] : [`-c ${keyword}=${value}`];
  });
  const applicationName = values.get('application_name');
  return {
    host: values.get('host') || 'localhost',
    port,
    user,
    password: values.get('password') ?? '',
    database: values.get('dbname') || user,
    ssl,
    ...(applicationName === undefined ? {} : { application_name: applicationName }),
    ...(timeoutSeconds === 0 ? {} : { connectionTimeoutMillis: timeoutSeconds * 1_000 }),
    ...(session.length === 0 ? {} : { options: session.join(' ') }),
  };
}

/** `undefined` where a % starts no code. */
export function decodePercent(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
