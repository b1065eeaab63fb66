import { Command } from 'commander';
import { readVersion } from './load.js';
import { readCount, readDuration, readPrefix, readRate, readSeed } from './simulate-options.js';
import type { Terminal } from './terminal.js';

const CONFIG = [
  '--config <file>',
  'configuration file (default: config.yaml, if there is one)',
] as const;

/** The command line: parses, prints help, and runs one command, whose code is loaded only then. */
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
    .action(async (options) => (await import('./serve.js')).serve(terminal, options));

  program
    .command('migrate')
    .description('bring the database up to date (serve does it too)')
    .option(...CONFIG)
    .option('--status', 'only tell which migrations have run; exit code 1 if any is pending')
    .action(async (options) => (await import('./migrate.js')).migrateCommand(terminal, options));

  program
    .command('adopt')
    .description('take over a database of the KairoIO server, after a backup (serve does it too)')
    .option(...CONFIG)
    .option(
      '--check',
      'only tell what that would do; exit code 1 if something is to be looked at first',
    )
    .addHelpText(
      'after',
      '\nStop the KairoIO server first. On SQLite the backup is a file beside the database, on PostgreSQL a schema in it.',
    )
    .action(async (options) => (await import('./adopt.js')).adoptCommand(terminal, options));

  program
    .command('move')
    .description(
      'copy the fleet of a SQLite database to an empty PostgreSQL; stop the server first',
    )
    .option(
      '--to <dsn>',
      'where to: postgres://user:password@host:port/name (better in FLEETWIRE_MOVE_TO)',
    )
    .option(...CONFIG)
    .addHelpText(
      'after',
      '\nEverything is compared by count and checksum before it is kept; when anything differs, the target is as it was.',
    )
    .action(async (options) => (await import('./move.js')).moveCommand(terminal, options));

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
    .action(async (options) => (await import('./account.js')).createAccount(terminal, options));

  program
    .command('robot')
    .description('robots for trying things out')
    .command('simulate')
    .description('drive a running server as real robots would, over REST; Ctrl-C stops it')
    .option('--robots <n>', 'how many, 1 to 1000', readCount, 20)
    .option('--rate <hz>', 'statuses per second of each robot', readRate, 2)
    .option('--url <url>', 'the server (FLEETWIRE_URL; default: http://localhost:8080)')
    .option('--token <token>', 'certification key or API key; better in FLEETWIRE_TOKEN')
    .option('--username <name>', 'log in by name; the password comes in FLEETWIRE_PASSWORD')
    .option('--duration <time>', 'stop after this long, such as 60s (default: never)', readDuration)
    .option('--seed <n>', 'the same robots again', readSeed)
    .option('--prefix <text>', 'what the ids of the robots begin with', readPrefix, 'sim-robot')
    .addHelpText(
      'after',
      '\nWithout token and username it logs in as the default admin, which works on the same machine alone.',
    )
    .action(async (options) => (await import('./simulate.js')).simulateCommand(terminal, options));

  program
    .command('cert')
    .description('make a key and a self-signed certificate for server.listeners')
    .requiredOption('--dev', 'yes, one that nobody vouches for, to try things out')
    .option(
      '--host <name>',
      'a further name or address that it is good for; may be repeated',
      (host: string, hosts: string[]) => [...hosts, host],
      [],
    )
    .option('--out <folder>', 'where cert.pem and key.pem go', 'data/tls')
    .option('--force', 'replace those that are there')
    .addHelpText(
      'after',
      '\nIt is good for localhost, the name of this machine and its addresses; it needs the openssl command.',
    )
    .action(async (options) => (await import('./cert.js')).makeCertificate(terminal, options));

  program
    .command('openapi')
    .description('print the OpenAPI document')
    .option('--write [file]', 'write it to a file instead (default: openapi.json)')
    .action(async (options) => (await import('./openapi.js')).printOpenapi(terminal, options));

  return program;
}
