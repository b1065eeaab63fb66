import { parseArgs } from 'node:util';

export const SUITE_NAMES = [
  ...(['ingest', 'batch', 'trajectory', 'blocking', 'commands', 'fanout'] as const),
  ...(['auth', 'rpc', 'sfu', 'start'] as const),
] as const;
export type SuiteName = (typeof SUITE_NAMES)[number];

export interface BenchArgs {
  suites: SuiteName[];
  quick: boolean;
  rounds: number;
  roundMs: number;
  warmUpMs: number;
  jsonPath: string | null;
  /** Where the temporary databases go; null means the system's directory for temporary files. */
  directory: string | null;
}

export const USAGE = `npm run bench -- [suites…] [--quick] [--rounds N] [--json file] [--dir folder]

suites: ${SUITE_NAMES.join(', ')} (default: all)
--quick      one round of one second, a tenth of the rows: shows that everything runs, never fails for a number
--rounds N   rounds of three seconds, 5 or more for a judgement (default 5)
--json file  where the results go (default: bench/results/<time>.json)
--dir folder where the temporary databases go; must be on a real disk (default: the system's)
TEST_DATABASE_URL=postgres://…  a PostgreSQL server to use in place of the embedded one`;

/** Throws an Error with one readable sentence when the command line makes no sense. */
export function parseBenchArgs(argv: readonly string[]): BenchArgs {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      json: { type: 'string' },
      dir: { type: 'string' },
    },
  });
  const unknown = positionals.filter((name) => !isSuiteName(name));
  if (unknown.length > 0) {
    throw new Error(
      `unknown suite "${unknown.join('", "')}"; there are: ${SUITE_NAMES.join(', ')}`,
    );
  }
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new Error(`--rounds must be a whole number from 1 on, not "${values.rounds}"`);
  }
  return {
    suites: SUITE_NAMES.filter((name) => positionals.length === 0 || positionals.includes(name)),
    quick: values.quick,
    rounds,
    roundMs: values.quick ? 1000 : 3000,
    warmUpMs: values.quick ? 500 : 2000,
    jsonPath: values.json ?? null,
    directory: values.dir ?? null,
  };
}

function isSuiteName(name: string): name is SuiteName {
  return (SUITE_NAMES as readonly string[]).includes(name);
}
