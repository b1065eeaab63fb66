import type { Findings } from './findings.js';
import {
  decodePercent,
  looksLikePostgres,
  type PostgresConnection,
  parsePostgresDsn,
  type Report,
} from './postgres-dsn.js';
import type { Settings } from './schema.js';

export type DatabaseConfig =
  | { type: 'sqlite'; path: string }
  | {
      type: 'postgres';
      connection: PostgresConnection;
      max_connections: number;
      /** Milliseconds; 0 is for ever. */
      conn_max_lifetime: number;
    };

const PARTS = [
  'database.host',
  'database.port',
  'database.user',
  'database.password',
  'database.database',
] as const;

/** Type, dsn and the separate keys as one thing; undefined when they do not fit together. */
export function resolveDatabase(
  settings: Settings['database'],
  findings: Findings,
): DatabaseConfig | undefined {
  const dsn = settings.dsn.trim();
  const report: Report = (sentence) => findings.problem('database.dsn', sentence);
  const parts = PARTS.filter((name) => findings.given.has(name));
  if (settings.type === 'postgres') {
    const byDsn = dsnIsMeant(dsn, findings);
    const connection = byDsn ? fromDsn(dsn, report) : fromParts(settings, findings);
    if (byDsn) warnUnused(parts, findings, 'has no effect beside database.dsn');
    else if (findings.given.has('database.dsn')) {
      findings.warning('database.dsn', 'not used; database.host and the keys beside it are');
    }
    return (
      connection && {
        type: 'postgres',
        connection,
        max_connections: settings.max_connections,
        conn_max_lifetime: settings.conn_max_lifetime,
      }
    );
  }
  warnUnused(parts, findings, 'has no effect while database.type is sqlite');
  if (looksLikePostgres(dsn)) {
    report(
      'names a PostgreSQL database while database.type is sqlite; set database.type: postgres',
    );
    return undefined;
  }
  const warn: Report = (sentence) => findings.warning('database.dsn', sentence);
  const path = parseSqliteDsn(dsn, report, warn);
  return path === undefined ? undefined : { type: 'sqlite', path };
}

/**
 * A dsn wins over separate keys, unless a host is given and the dsn cannot be meant: it is a SQLite path (the default
 * of an image or of an example), or stands in the file while the host is a variable.
 */
function dsnIsMeant(dsn: string, { given }: Findings): boolean {
  const host = given.get('database.host');
  const origin = given.get('database.dsn');
  if (!origin || !host) return origin !== undefined;
  return looksLikePostgres(dsn) && (origin.source === 'variable' || host.source === 'file');
}

function fromDsn(dsn: string, report: Report): PostgresConnection | undefined {
  if (looksLikePostgres(dsn)) return parsePostgresDsn(dsn, report);
  report(
    'names no PostgreSQL database while database.type is postgres; write host=… user=… password=… ' +
      'dbname=… or a postgres:// URL, or remove it and set database.host, user, password and database',
  );
  return undefined;
}

function fromParts(
  settings: Settings['database'],
  findings: Findings,
): PostgresConnection | undefined {
  const { host, port, user, password } = settings;
  if (user === '') {
    const anchor = PARTS.find((name) => findings.given.has(name)) ?? 'database.type';
    findings.problem(
      anchor,
      'PostgreSQL needs to know where to connect and as whom; set database.dsn, or database.host, ' +
        'user, password and database (user is missing)',
    );
    return undefined;
  }
  return { host, port, user, password, database: settings.database || user, ssl: false };
}

function warnUnused(
  names: readonly (typeof PARTS)[number][],
  findings: Findings,
  sentence: string,
): void {
  for (const name of names) findings.warning(name, sentence);
}

function parseSqliteDsn(dsn: string, report: Report, warn: Report): string | undefined {
  const isUrl = /^file:/i.test(dsn);
  const mark = dsn.indexOf('?');
  const address = mark === -1 ? dsn : dsn.slice(0, mark);
  const options = mark === -1 ? '' : dsn.slice(mark + 1);
  const path = isUrl
    ? decodePercent(address.slice('file:'.length).replace(/^\/\/(localhost)?(?=\/)/i, ''))
    : address;
  if (path === ':memory:' || /(^|&)mode=memory(&|$)/.test(options)) {
    report(
      'a database in memory cannot work: the connections that write and read would each have their ' +
        'own, and a restart would lose it; write a path such as data/fleetwire.db',
    );
  } else if (!path || (isUrl && path.startsWith('//'))) {
    report(
      'no usable path; write data/fleetwire.db, file:data/fleetwire.db or file:///data/fleetwire.db',
    );
  } else if (/^[a-z][a-z\d+.-]+:\/\//i.test(path)) {
    report(
      'a database that is not supported; write a path, or database.type: postgres and its dsn',
    );
  } else {
    if (options !== '') warn('what follows the ? is not used');
    return path;
  }
  return undefined;
}
