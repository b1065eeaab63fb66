import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes } from '../lib/proc-tree.js';
import { median } from '../lib/stats.js';
import type { Bench, SuiteResult } from '../lib/suite.js';
import { judge } from '../lib/verdict.js';
import { startFleetwire } from '../subjects/fleetwire.js';

/** Long enough for what the start has left over to be collected or settled. */
const IDLE_MS = 2000;
const MB = 1e6;

/** From the start of the process on an empty folder until /health answers, and the memory of the idle server. */
export async function start(bench: Bench): Promise<SuiteResult> {
  const startMs: number[] = [];
  const memoryBytes: number[] = [];
  for (let index = 0; index < bench.args.rounds; index++) {
    const name = `start-${index}`;
    const startedAtMs = performance.now();
    const { child } = await startFleetwire({
      directory: bench.directory,
      name,
      databasePath: join(bench.directory, `${name}.db`),
    });
    startMs.push(performance.now() - startedAtMs);
    try {
      await sleep(IDLE_MS);
      memoryBytes.push(residentBytes(child.pid) ?? Number.NaN);
    } finally {
      await child.stop();
    }
    bench.progress(
      `round ${index + 1} of ${bench.args.rounds}: ${startMs.at(-1)?.toFixed(0)} ms, ` +
        `${((memoryBytes.at(-1) as number) / MB).toFixed(0)} MB`,
    );
  }
  const verdicts = [judge('cold start until /health', median(startMs), '<=', 2000, { unit: 'ms' })];
  if (!memoryBytes.some(Number.isNaN)) {
    const megabytes = median(memoryBytes) / MB;
    verdicts.push(judge('idle resident memory', megabytes, '<=', 150, { unit: 'MB' }));
  }
  return { rows: [], verdicts, notes: [] };
}
