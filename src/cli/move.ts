import { parsePostgresDsn } from '../config/postgres-dsn.js';
import { type Move, moveToPostgres, type PostgresTarget, sqliteFile } from '../db/move/move.js';
import { systemClock } from '../lib/clock.js';
import { readConfig } from './load.js';
import { amount, createProgress, rowsText } from './progress.js';
import { CommandError, type Terminal } from './terminal.js';

const TO = 'postgres://user:password@host:5432/name';

/**
 * Copies the SQLite database of the configuration to an empty PostgreSQL.
 * @throws CommandError 1 when it cannot be done, 2 when it was asked for wrongly.
 */
export async function moveCommand(
  terminal: Terminal,
  options: { config?: string; to?: string },
): Promise<void> {
  const target = readTarget(options.to ?? terminal.env.FLEETWIRE_MOVE_TO);
  const path = sqliteFile(readConfig(terminal, options.config).database);
  if (path === undefined) {
    throw new CommandError('The configured database is PostgreSQL already', 2);
  }
  const progress = createProgress(terminal);
  try {
    const move = await moveToPostgres(path, target, {
      nowMs: systemClock.now(),
      onStep: ({ step, table, done, of }) => progress.show(`${step} ${rowsText(table, done, of)}`),
    });
    progress.end();
    terminal.out.write(report(move, path));
  } catch (error) {
    progress.end();
    throw new CommandError((error as Error).message);
  }
}

function readTarget(dsn: string | undefined): PostgresTarget {
  if (!dsn) {
    throw new CommandError(`Say where to with --to or FLEETWIRE_MOVE_TO, such as ${TO}`, 2);
  }
  const problems: string[] = [];
  const connection = parsePostgresDsn(dsn, (problem) => problems.push(problem));
  if (connection && problems.length === 0) {
    return { type: 'postgres', connection, max_connections: 2, conn_max_lifetime: 0 };
  }
  throw new CommandError(`--to: it must be like ${TO}: ${problems.join('; ')}`, 2);
}

function report({ tables, left }: Move, path: string): string {
  const width = Math.max(...tables.map(({ name }) => name.length));
  const lines = tables.map(
    ({ name, rows, checksum }) =>
      `${name.padEnd(width)}  ${amount(rows).padStart(13)} rows  ${checksum}  the same on both sides`,
  );
  if (left.length > 0) lines.push(`Not Fleetwire's, and left in the file: ${left.join(', ')}`);
  lines.push(
    `Moved. ${path} is as it was; set database.type to postgres and database.dsn to the new one.`,
  );
  return `${lines.join('\n')}\n`;
}
