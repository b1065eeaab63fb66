import { Command } from 'commander';
import { createAccount } from './account.js';
import { readVersion } from './load.js';
import { migrateCommand } from './migrate.js';
import { printOpenapi } from './openapi.js';
import { serve } from './serve.js';
import type { Terminal } from './terminal.js';

const CONFIG = [
  '--config <file>',
  'configuration file (default: config.yaml, if there is one)',
] as const;

/** The command line: parses, prints help, and runs one command. */
export function createProgram(terminal: Terminal): Command {
  const program = new Command('fleetwire')
    .description('A self-hosted backend for robot fleets.')
    .version(readVersion())
    .showHelpAfterError('(add --help for usage)')
    .configureOutput({
      writeOut: (text) => void terminal.out.write(text),
      writeErr: (text) => void terminal.err.write(text),
    })
    .exitOverride();
  program.addHelpText(
    'after',
    '\nExit codes: 0 done, 1 the work failed, 2 what was asked for is wrong.\nEvery key of the configuration can be set by a variable: server.port is KAIROIO_SERVER_PORT.',
  );

  program
    .command('serve')
    .description('start the server; Ctrl-C or SIGTERM stops it')
    .option(...CONFIG)
    .action((options) => serve(terminal, options));

  program
    .command('migrate')
    .description('bring the database up to date (serve does it too)')
    .option(...CONFIG)
    .option('--status', 'only tell which migrations have run; exit code 1 if any is pending')
    .action((options) => migrateCommand(terminal, options));

  program
    .command('account')
    .description('manage accounts')
    .command('create')
    .description('add an account; the password comes on standard input')
    .requiredOption('--email <address>', 'e-mail address, which is the login name')
    .option(...CONFIG)
    .addHelpText(
      'after',
      '\nExample: echo "$PASSWORD" | fleetwire account create --email you@example.com',
    )
    .action((options) => createAccount(terminal, options));

  program
    .command('openapi')
    .description('print the OpenAPI document')
    .option('--write <file>', 'write it to a file instead')
    .action((options) => printOpenapi(terminal, options));

  return program;
}
