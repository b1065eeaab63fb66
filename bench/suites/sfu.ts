import { workerProblem } from '../../src/media/mediasoup/worker-binary.js';
import type { Bench, SuiteResult } from '../lib/suite.js';
import { measureForwarding } from './sfu-forwarding.js';
import { measureJoins } from './sfu-join.js';
import { measureMemory } from './sfu-memory.js';

/** Video rooms: how soon a newcomer sees something, and what forwarding costs in CPU and memory. */
export async function sfu(bench: Bench): Promise<SuiteResult> {
  const problem = workerProblem(process.env.MEDIASOUP_WORKER_BIN);
  if (problem !== undefined) return { rows: [], verdicts: [], notes: [`skipped: ${problem}`] };
  const parts: SuiteResult[] = [];
  for (const measure of [measureJoins, measureForwarding, measureMemory]) {
    parts.push(await measure(bench));
  }
  return {
    rows: parts.flatMap(({ rows }) => rows),
    verdicts: parts.flatMap(({ verdicts }) => verdicts),
    notes: parts.flatMap(({ notes }) => notes),
  };
}
