import type { Config } from '../config.js';
import { checkAdoption } from '../db/adopt/check.js';
import { prepareDatabase } from '../db/adopt/prepare.js';
import { REJECTED_TABLE } from '../db/adopt/rejected.js';
import { openDatabase } from '../db/client.js';
import { systemClock } from '../lib/clock.js';
import { adoptionReport } from './adoption-report.js';
import { readConfig } from './load.js';
import { amount, createProgress, type Progress, rowsText } from './progress.js';
import { CommandError, type Terminal } from './terminal.js';

const NOTHING = 'Nothing to do: this is not a database of the KairoIO server.\n';

/**
 * Takes over a database of the KairoIO server, or with `check` only tells what that would do.
 * @throws CommandError 1 when it cannot be done, or when the check has found something to look at first.
 */
export async function adoptCommand(
  terminal: Terminal,
  options: { config?: string; check?: boolean },
): Promise<void> {
  const config = readConfig(terminal, options.config);
  const progress = createProgress(terminal);
  try {
    await (options.check ? check : adopt)(terminal, config.database, progress);
  } catch (error) {
    progress.end();
    if (error instanceof CommandError) throw error;
    throw new CommandError((error as Error).message);
  }
}

async function check(
  { out }: Terminal,
  database: Config['database'],
  progress: Progress,
): Promise<void> {
  const found = await checkAdoption(database, {
    nowMs: systemClock.now(),
    onRows: (table, done, of) => progress.show(rowsText(table, done, of)),
  });
  progress.end();
  if (!found) {
    out.write(NOTHING);
    return;
  }
  out.write(adoptionReport(found, REJECTED_TABLE));
  out.write(
    found.backup_bytes > 0
      ? `Backup\n  about ${amount(found.backup_bytes)} bytes, beside the database\n`
      : 'Backup\n  the original tables, moved to a schema of their own in the same database\n',
  );
  for (const obstacle of found.obstacles) out.write(`Obstacle  ${obstacle}\n`);
  if (found.has_problems) {
    throw new CommandError(
      'It can be adopted with the losses above, or once they are mended; nothing was written',
    );
  }
  out.write('It can be adopted; nothing was written. Do it with: fleetwire adopt\n');
}

async function adopt(
  { out }: Terminal,
  config: Config['database'],
  progress: Progress,
): Promise<void> {
  const database = await openDatabase(config);
  try {
    const { adoption } = await prepareDatabase(database.db, {
      nowMs: systemClock.now(),
      onStep({ step, table, done, of }) {
        if (step === 'rows' && table !== null) progress.show(rowsText(table, done, of));
        if (step === 'backup') progress.show(`backup ${amount(done)} of ${amount(of)}`);
      },
    });
    progress.end();
    if (!adoption) {
      out.write(NOTHING);
      return;
    }
    out.write(adoptionReport(adoption, REJECTED_TABLE));
    out.write(`Backup\n  ${adoption.backup}\nAdopted.\n`);
  } finally {
    await database.close();
  }
}
