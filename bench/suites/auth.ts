import { join } from 'node:path';
import type { Workload } from '../generator/job.js';
import { median } from '../lib/stats.js';
import type { Bench, SuiteResult } from '../lib/suite.js';
import { judge } from '../lib/verdict.js';
import { createAccount, startFleetwire } from '../subjects/fleetwire.js';

const LOGINS = 32;
const ACCOUNT = { email: 'bench@example.com', password: 'correct horse battery staple' };
const LOGIN: Workload = {
  kind: 'post',
  token: null,
  path: '/api/v1/auth/login',
  body: JSON.stringify({ username: ACCOUNT.email, password: ACCOUNT.password }),
};

interface Watched {
  stat_p50_ms: number;
  stat_p99_ms: number;
}

/** Logins of a stored account, 32 at a time, and how long a file access of the server takes meanwhile. */
export async function auth(bench: Bench): Promise<SuiteResult> {
  const options = {
    directory: bench.directory,
    name: 'fleetwire',
    databasePath: join(bench.directory, 'fleetwire.db'),
    watched: true,
  };
  await createAccount(options, ACCOUNT);
  const { child, port } = await startFleetwire(options);
  const perSecond: number[] = [];
  const p50Ms: number[] = [];
  const p99Ms: number[] = [];
  const statP50Ms: number[] = [];
  const statP99Ms: number[] = [];
  try {
    for (let index = 0; index < bench.args.rounds; index++) {
      await child.ask({ ask: 'watch', stat: true });
      const run = await bench.generator.run({
        port,
        connections: LOGINS,
        durationMs: bench.args.roundMs,
        workload: LOGIN,
      });
      const watched = await child.ask<Watched>({ ask: 'report' });
      if (run.first_refusal !== null) throw new Error(`a login was refused: ${run.first_refusal}`);
      perSecond.push((run.acknowledged / run.duration_ms) * 1000);
      p50Ms.push(run.p50_ms);
      p99Ms.push(run.p99_ms);
      statP50Ms.push(watched.stat_p50_ms);
      statP99Ms.push(watched.stat_p99_ms);
      bench.progress(
        `round ${index + 1} of ${bench.args.rounds}: ${perSecond.at(-1)?.toFixed(0)} logins/s, ` +
          `fs.stat ${watched.stat_p50_ms.toFixed(2)} ms`,
      );
    }
  } finally {
    await child.kill();
  }
  return {
    rows: [
      {
        variant: `fleetwire, logins, ${LOGINS} waiting`,
        per_second: median(perSecond),
        ratio: null,
        p50_ms: median(p50Ms),
        p99_ms: median(p99Ms),
        cpu_us_per_request: null,
        rounds: [],
      },
      {
        variant: 'fs.stat in the server meanwhile',
        per_second: null,
        ratio: null,
        p50_ms: median(statP50Ms),
        p99_ms: median(statP99Ms),
        cpu_us_per_request: null,
        rounds: [],
      },
    ],
    verdicts: [
      judge(`fs.stat p50 while ${LOGINS} logins wait`, median(statP50Ms), '<=', 2, { unit: 'ms' }),
    ],
    notes: [],
  };
}
