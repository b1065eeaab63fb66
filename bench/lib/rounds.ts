import type { Workload } from '../generator/job.js';
import type { Subject } from '../subjects/subject.js';
import { cpuMicroseconds } from './proc-tree.js';
import { median, medianOfRatios } from './stats.js';
import type { Bench, Round, TableRow } from './suite.js';

/** One variant under one load. */
export interface Cell {
  name: string;
  subject: Subject;
  connections: number;
  workload: Workload;
  /** What one request counts for, in rates and in CPU. */
  statuses_per_request: number;
}

export interface CellRounds {
  cell: Cell;
  rounds: Round[];
}

export interface RoundsResult {
  cells: CellRounds[];
  /** Acknowledged statuses of each subject, warm-up included. */
  acknowledged: Map<Subject, number>;
}

/**
 * Warms every cell up, then lets them take turns, forth in one round and back in the next, so that none always runs
 * after the same neighbour. Throws when a reply is not 2xx: a refused request is cheap and would look fast.
 */
export async function runRounds(bench: Bench, cells: readonly Cell[]): Promise<RoundsResult> {
  const results = cells.map((cell): CellRounds => ({ cell, rounds: [] }));
  const acknowledged = new Map<Subject, number>();
  const runOnce = async (cell: Cell, durationMs: number): Promise<Round> => {
    const { round, statuses } = await measure(bench, cell, durationMs);
    acknowledged.set(cell.subject, (acknowledged.get(cell.subject) ?? 0) + statuses);
    return round;
  };
  for (const { cell } of results) {
    bench.progress(`warm-up: ${cell.name}`);
    await runOnce(cell, bench.args.warmUpMs);
  }
  for (let index = 0; index < bench.args.rounds; index++) {
    for (const result of index % 2 === 0 ? results : results.toReversed()) {
      const round = await runOnce(result.cell, bench.args.roundMs);
      result.rounds.push(round);
      bench.progress(
        `round ${index + 1} of ${bench.args.rounds}: ${result.cell.name}: ${Math.round(round.per_second)}/s`,
      );
    }
  }
  return { cells: results, acknowledged };
}

async function measure(
  bench: Bench,
  cell: Cell,
  durationMs: number,
): Promise<{ round: Round; statuses: number }> {
  const cpuBefore = cpuMicroseconds(cell.subject.child.pid);
  const run = await bench.generator.run({
    port: cell.subject.port,
    connections: cell.connections,
    durationMs,
    workload: cell.workload,
  });
  const cpuAfter = cpuMicroseconds(cell.subject.child.pid);
  if (run.first_refusal !== null) {
    throw new Error(
      `${cell.name} refused requests (${JSON.stringify(run.refused)}): ${run.first_refusal}`,
    );
  }
  const cpuUs = cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore;
  const statuses = run.acknowledged * cell.statuses_per_request;
  return {
    statuses,
    round: {
      per_second: (statuses / run.duration_ms) * 1000,
      p50_ms: run.p50_ms,
      p99_ms: run.p99_ms,
      cpu_us_per_request: cpuUs === null ? null : cpuUs / statuses,
    },
  };
}

export function throughputRatio(result: CellRounds, base: CellRounds): number {
  return medianOfRatios(
    result.rounds.map((round) => round.per_second),
    base.rounds.map((round) => round.per_second),
  );
}

export function rowOf(result: CellRounds, base: CellRounds): TableRow {
  const cpu = result.rounds.map((round) => round.cpu_us_per_request);
  return {
    variant: result.cell.name,
    per_second: median(result.rounds.map((round) => round.per_second)),
    ratio: throughputRatio(result, base),
    p50_ms: median(result.rounds.map((round) => round.p50_ms)),
    p99_ms: median(result.rounds.map((round) => round.p99_ms)),
    cpu_us_per_request: cpu.includes(null) ? null : median(cpu as number[]),
    rounds: result.rounds,
  };
}
