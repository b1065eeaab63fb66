import type { Bench, SuiteResult } from '../lib/suite.js';
import { measureForwarding } from './sfu-forwarding.js';
import { measureJoins } from './sfu-join.js';

/** Video rooms: how soon a newcomer sees something, and what forwarding costs in CPU and memory. */
export async function sfu(bench: Bench): Promise<SuiteResult> {
  const parts = [await measureJoins(bench), await measureForwarding(bench)];
  return {
    rows: parts.flatMap(({ rows }) => rows),
    verdicts: parts.flatMap(({ verdicts }) => verdicts),
    notes: parts.flatMap(({ notes }) => notes),
  };
}
