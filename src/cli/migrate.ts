import { prepareDatabase } from '../db/adopt/prepare.js';
import { openDatabase } from '../db/client.js';
import { migrationStatus } from '../db/migrate.js';
import { systemClock } from '../lib/clock.js';
import { readConfig } from './load.js';
import { CommandError, type Terminal } from './terminal.js';

/**
 * Brings the database up to date, or with `status` only tells what has run.
 * @throws CommandError 1 when the database cannot be migrated, or with `status` when something is left to run.
 */
export async function migrateCommand(
  terminal: Terminal,
  options: { config?: string; status?: boolean },
): Promise<void> {
  const config = readConfig(terminal, options.config);
  const database = await openDatabase(config.database).catch((error: Error) => {
    throw new CommandError(error.message);
  });
  try {
    if (!options.status) {
      const { adoption, migrations: names } = await prepareDatabase(database.db, {
        nowMs: systemClock.now(),
      });
      if (adoption)
        terminal.out.write(`Adopted from KairoIO; the originals are in ${adoption.backup}\n`);
      for (const name of names) terminal.out.write(`${name}  done\n`);
      if (names.length === 0 && !adoption)
        terminal.out.write('Nothing to do: the database is up to date.\n');
      return;
    }
    const migrations = await migrationStatus(database.db);
    for (const { name, executedAt } of migrations) {
      terminal.out.write(
        `${name}  ${executedAt ? `ran ${executedAt.toISOString()}` : 'pending'}\n`,
      );
    }
    const pending = migrations.filter(({ executedAt }) => !executedAt).length;
    if (pending > 0) throw new CommandError(`${pending} pending; run: fleetwire migrate`);
  } finally {
    await database.close();
  }
}
