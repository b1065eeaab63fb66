import { join } from 'node:path';
import { Child, typescriptArgs } from '../lib/child.js';
import { type FilledDatabase, fillDatabase } from '../lib/filled-database.js';
import { median, medianOfRatios } from '../lib/stats.js';
import type { Bench, SuiteResult, TableRow } from '../lib/suite.js';
import { judge } from '../lib/verdict.js';
import { call, startFleetwireSubject } from '../subjects/fleetwire.js';
import type { Subject } from '../subjects/subject.js';
import { dayPath, rowsToFill } from './day-path.js';

const MAX_POINTS = 1000;

interface Rounds {
  baseline_ms: number[];
  day_ms: number[];
  day_p99_ms: number[];
  points_ms: number[];
  points_p99_ms: number[];
  longest_slice_ms: number[];
}

/** A robot's day of 86,400 points out of a million rows, against parsing the stored JSON in JavaScript. */
export async function trajectory(bench: Bench): Promise<SuiteResult> {
  const path = join(bench.directory, 'filled.db');
  bench.progress(`filling a database with ${rowsToFill(bench.args.quick)} statuses`);
  const filled = await fillDatabase(bench.directory, path, rowsToFill(bench.args.quick));
  const baseline = startBaseline(bench, filled);
  const subject = await startFleetwireSubject(
    { directory: bench.directory, name: 'fleetwire', databasePath: path, watched: true },
    [],
  ).catch(async (error) => {
    await baseline.kill();
    throw error;
  });
  try {
    const points = await countPoints(subject, dayPath(filled));
    const sampled = await countPoints(subject, dayPath(filled, MAX_POINTS));
    const rounds = await measure(bench, filled, baseline, subject);
    const ratio = medianOfRatios(rounds.day_ms, rounds.baseline_ms);
    return {
      rows: [
        rowOf('SELECT + JSON.parse + stringify in one process', rounds.baseline_ms, [], 1),
        rowOf('fleetwire, day of 86,400 points over HTTP', rounds.day_ms, rounds.day_p99_ms, ratio),
        rowOf(
          `fleetwire, max_points=${MAX_POINTS}`,
          rounds.points_ms,
          rounds.points_p99_ms,
          medianOfRatios(rounds.points_ms, rounds.baseline_ms),
        ),
      ],
      verdicts: [
        judge('points of the day', points, '=', filled.day_rows, { kind: 'truth' }),
        judge(`points with max_points=${MAX_POINTS}`, sampled, '<=', MAX_POINTS, { kind: 'truth' }),
        judge('and not too few of them', sampled, '>=', MAX_POINTS / 2, { kind: 'truth' }),
        judge('day trajectory / JSON.parse in JS, time', ratio, '<=', 0.25),
        judge('longest slice of the main thread', median(rounds.longest_slice_ms), '<=', 10, {
          unit: 'ms',
        }),
        judge(`max_points=${MAX_POINTS}`, median(rounds.points_ms), '<=', 30, { unit: 'ms' }),
      ],
      notes: [
        `${filled.rows} rows, ${filled.robot_ids.length} robots; ratios are of times, smaller is better`,
        `longest slice of the main thread in each round, ms: ${rounds.longest_slice_ms.map((ms) => ms.toFixed(1)).join(', ')}`,
      ],
    };
  } finally {
    await baseline.kill();
    await subject.child.kill();
  }
}

async function measure(
  bench: Bench,
  filled: FilledDatabase,
  baseline: Child,
  subject: Subject,
): Promise<Rounds> {
  const rounds: Rounds = {
    baseline_ms: [],
    day_ms: [],
    day_p99_ms: [],
    points_ms: [],
    points_p99_ms: [],
    longest_slice_ms: [],
  };
  const get = (path: string, durationMs: number) =>
    bench.generator.run({
      port: subject.port,
      connections: 1,
      durationMs,
      workload: { kind: 'get', token: subject.token, path },
    });
  await timeBaseline(baseline, bench.args.warmUpMs, filled.day_rows);
  await get(dayPath(filled), bench.args.warmUpMs);
  for (let index = 0; index < bench.args.rounds; index++) {
    const baselineMs = await timeBaseline(baseline, bench.args.roundMs, filled.day_rows);
    await subject.child.ask({ ask: 'watch' });
    const day = await get(dayPath(filled), bench.args.roundMs);
    const watched = await subject.child.ask<{ longest_slice_ms: number }>({ ask: 'report' });
    const points = await get(dayPath(filled, MAX_POINTS), bench.args.roundMs / 3);
    for (const run of [day, points]) {
      if (run.first_refusal !== null) throw new Error(`trajectory refused: ${run.first_refusal}`);
    }
    rounds.baseline_ms.push(baselineMs);
    rounds.day_ms.push(day.p50_ms);
    rounds.day_p99_ms.push(day.p99_ms);
    rounds.points_ms.push(points.p50_ms);
    rounds.points_p99_ms.push(points.p99_ms);
    rounds.longest_slice_ms.push(watched.longest_slice_ms);
    bench.progress(
      `round ${index + 1} of ${bench.args.rounds}: JSON.parse ${baselineMs.toFixed(0)} ms, day ` +
        `${day.p50_ms.toFixed(0)} ms, ${MAX_POINTS} points ${points.p50_ms.toFixed(1)} ms`,
    );
  }
  return rounds;
}

function startBaseline(bench: Bench, filled: FilledDatabase): Child {
  const range = [filled.day_robot_id, String(filled.start_ms), String(filled.end_ms)];
  return new Child({
    args: [...typescriptArgs('servers/json-parse.ts'), filled.path, ...range],
    cwd: bench.directory,
    outputPath: join(bench.directory, 'json-parse.log'),
  });
}

/** Repeats the baseline for the given time; the median of one answer in milliseconds. */
async function timeBaseline(child: Child, durationMs: number, points: number): Promise<number> {
  const times: number[] = [];
  for (let spentMs = 0; spentMs < durationMs; spentMs += times.at(-1) as number) {
    const answer = await child.ask<{ ms: number; points: number }>({});
    if (answer.points !== points) throw new Error(`the baseline found ${answer.points} points`);
    times.push(answer.ms);
  }
  return median(times);
}

async function countPoints(subject: Subject, path: string): Promise<number> {
  const data = await call<{ count: number; path: unknown[] }>(subject.port, path, {
    token: subject.token,
  });
  if (data.count !== data.path.length) {
    throw new Error(`a trajectory says count ${data.count} and has ${data.path.length} points`);
  }
  return data.count;
}

function rowOf(variant: string, p50: number[], p99: number[], ratio: number): TableRow {
  return {
    variant,
    per_second: null,
    ratio,
    p50_ms: median(p50),
    p99_ms: p99.length === 0 ? null : median(p99),
    cpu_us_per_request: null,
    rounds: [],
  };
}
