import { join } from 'node:path';
import { fillDatabase } from '../lib/filled-database.js';
import { Generator } from '../lib/generator.js';
import { median, medianOfRatios } from '../lib/stats.js';
import type { Bench, SuiteResult, TableRow } from '../lib/suite.js';
import { judge } from '../lib/verdict.js';
import { startFleetwireSubject } from '../subjects/fleetwire.js';
import { countMissingRows } from '../subjects/subject.js';
import { dayPath, rowsToFill } from './day-path.js';

const RATE = 2000;
const CONNECTIONS = 64;

interface Latency {
  p50_ms: number[];
  p99_ms: number[];
}

/** Statuses at a fixed rate, alone and while one client reads day trajectories without pause. */
export async function blocking(bench: Bench): Promise<SuiteResult> {
  const path = join(bench.directory, 'filled.db');
  bench.progress(`filling a database with ${rowsToFill(bench.args.quick)} statuses`);
  const filled = await fillDatabase(bench.directory, path, rowsToFill(bench.args.quick));
  const subject = await startFleetwireSubject(
    { directory: bench.directory, name: 'fleetwire', databasePath: path },
    [],
  );
  const viewer = new Generator(bench.directory, 'viewer');
  const alone: Latency = { p50_ms: [], p99_ms: [] };
  const beside: Latency = { p50_ms: [], p99_ms: [] };
  const trajectoryMs: number[] = [];
  let acknowledged = 0;
  const write = async (durationMs: number, into: Latency | null): Promise<void> => {
    const run = await bench.generator.run({
      port: subject.port,
      connections: CONNECTIONS,
      durationMs,
      rate: RATE,
      workload: { kind: 'status', token: subject.token, robot_ids: filled.robot_ids },
    });
    if (run.first_refusal !== null) throw new Error(`a status was refused: ${run.first_refusal}`);
    acknowledged += run.acknowledged;
    into?.p50_ms.push(run.p50_ms);
    into?.p99_ms.push(run.p99_ms);
  };
  const read = async (durationMs: number): Promise<number> => {
    const run = await viewer.run({
      port: subject.port,
      connections: 1,
      durationMs,
      workload: { kind: 'get', token: subject.token, path: dayPath(filled) },
    });
    if (run.first_refusal !== null) throw new Error(`trajectory refused: ${run.first_refusal}`);
    return run.p50_ms;
  };
  try {
    await Promise.all([write(bench.args.warmUpMs, null), read(bench.args.warmUpMs)]);
    for (let index = 0; index < bench.args.rounds; index++) {
      const aloneFirst = index % 2 === 0;
      if (aloneFirst) await write(bench.args.roundMs, alone);
      const [readMs] = await Promise.all([
        read(bench.args.roundMs),
        write(bench.args.roundMs, beside),
      ]);
      if (!aloneFirst) await write(bench.args.roundMs, alone);
      trajectoryMs.push(readMs);
      bench.progress(
        `round ${index + 1} of ${bench.args.rounds}: p50 alone ${alone.p50_ms.at(-1)?.toFixed(2)} ms, ` +
          `beside trajectories ${beside.p50_ms.at(-1)?.toFixed(2)} ms`,
      );
    }
    const missing = await countMissingRows(subject, acknowledged + filled.rows);
    const ratio = medianOfRatios(beside.p50_ms, alone.p50_ms);
    return {
      rows: [
        rowOf(`fleetwire, statuses at ${RATE}/s`, alone, 1),
        rowOf('the same beside day trajectories', beside, ratio),
      ],
      verdicts: [
        judge('ingest p50 beside trajectories / alone', ratio, '<=', 1.5),
        judge('blocking: acknowledged minus stored rows', missing, '=', 0, { kind: 'truth' }),
      ],
      notes: [
        `a day trajectory took ${median(trajectoryMs).toFixed(0)} ms meanwhile; ratios are of p50, smaller is better`,
      ],
    };
  } finally {
    await viewer.close();
    await subject.child.kill();
  }
}

function rowOf(variant: string, latency: Latency, ratio: number): TableRow {
  return {
    variant,
    per_second: RATE,
    ratio,
    p50_ms: median(latency.p50_ms),
    p99_ms: median(latency.p99_ms),
    cpu_us_per_request: null,
    rounds: [],
  };
}
