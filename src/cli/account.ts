import { usesDefaultAdminPassword } from '../config.js';
import { RegisterAccountInput } from '../contract/access.js';
import { prepareDatabase } from '../db/adopt/prepare.js';
import { openDatabase } from '../db/client.js';
import { systemClock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { createAccounts } from '../services/accounts.js';
import { createPasswords } from '../services/passwords.js';
import { readConfig } from './load.js';
import { CommandError, type Terminal } from './terminal.js';

/** Adds an account and prints its id and key as JSON. The password comes on standard input, never as an argument. */
export async function createAccount(
  terminal: Terminal,
  options: { config?: string; email: string },
): Promise<void> {
  const config = readConfig(terminal, options.config);
  const password = (await terminal.readInput()).replace(/\r?\n$/, '');
  const input = RegisterAccountInput.safeParse({ email: options.email, password });
  if (!input.success) {
    const problems = input.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new CommandError(problems.join('\n'), 2);
  }
  const database = await openDatabase(config.database).catch((error: Error) => {
    throw new CommandError(error.message);
  });
  try {
    await prepareDatabase(database.db, { nowMs: systemClock.now() });
    const accounts = createAccounts({
      db: database.db,
      clock: systemClock,
      passwords: createPasswords(),
      admin: config.admin,
      isDefaultAdminPassword: usesDefaultAdminPassword(config),
    });
    const account = await accounts.create(input.data);
    terminal.out.write(`${JSON.stringify(account, null, 2)}\n`);
  } catch (error) {
    if (error instanceof DomainError) throw new CommandError(error.message);
    throw error;
  } finally {
    await database.close();
  }
}
