import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openRobotSockets, type RobotSockets } from '../lib/robot-sockets.js';
import { Latencies, median, percentile } from '../lib/stats.js';
import type { Bench, Round, SuiteResult, TableRow } from '../lib/suite.js';
import { judge } from '../lib/verdict.js';
import { call, startFleetwireSubject } from '../subjects/fleetwire.js';
import { countMissingRows, type Subject } from '../subjects/subject.js';

const CONNECTIONS = 64;
const ROBOTS = 20;
/** Each is acknowledged twice, so the database is told of three times as many changes. */
const COMMANDS_PER_SECOND = 50;
const ARRIVAL_LIMIT_MS = 5_000;

/** From a command's POST to its frame at the robot's WebSocket, alone and while statuses come as fast as they are taken. */
export async function commands(bench: Bench): Promise<SuiteResult> {
  const robotIds = Array.from({ length: ROBOTS }, (_, n) => `robot-${n}`);
  const subject = await startFleetwireSubject(
    {
      directory: bench.directory,
      name: 'fleetwire',
      databasePath: join(bench.directory, 'fleetwire.db'),
    },
    robotIds,
  );
  const sockets = await openRobotSockets(subject);
  const alone: Round[] = [];
  const beside: Round[] = [];
  const sent = { count: 0, lost: 0 };
  let acknowledged = 0;
  let statusesPerSecond = 0;
  const statusP99: number[] = [];

  async function dispatch(durationMs: number): Promise<Round> {
    const { latencies, lost, count } = await sendFor(subject, sockets, durationMs);
    sent.count += count;
    sent.lost += lost;
    return {
      per_second: COMMANDS_PER_SECOND,
      p50_ms: percentile(latencies, 0.5),
      p99_ms: percentile(latencies, 0.99),
      cpu_us_per_request: null,
    };
  }
  async function saturated(durationMs: number): Promise<Round> {
    const load = bench.generator.run({
      port: subject.port,
      connections: CONNECTIONS,
      durationMs,
      workload: { kind: 'status', token: subject.token, robot_ids: robotIds },
    });
    const [run, round] = await Promise.all([load, dispatch(durationMs)]);
    if (run.first_refusal !== null) throw new Error(`a status was refused: ${run.first_refusal}`);
    acknowledged += run.acknowledged;
    statusP99.push(run.p99_ms);
    statusesPerSecond = (run.acknowledged / run.duration_ms) * 1000;
    return round;
  }
  try {
    await saturated(bench.args.warmUpMs);
    for (let index = 0; index < bench.args.rounds; index++) {
      alone.push(await dispatch(bench.args.roundMs));
      beside.push(await saturated(bench.args.roundMs));
      bench.progress(
        `round ${index + 1} of ${bench.args.rounds}: p99 alone ${alone.at(-1)?.p99_ms.toFixed(2)} ms, ` +
          `beside ${Math.round(statusesPerSecond)} statuses/s ${beside.at(-1)?.p99_ms.toFixed(2)} ms`,
      );
    }
    const missing = await countMissingRows(subject, acknowledged);
    return {
      rows: [
        rowOf(`commands at ${COMMANDS_PER_SECOND}/s to ${ROBOTS} robots`, alone, alone),
        rowOf(`the same beside statuses, c=${CONNECTIONS}`, beside, alone),
      ],
      verdicts: [
        judge('dispatch p99 beside statuses', medianP99(beside), '<=', 20, { unit: 'ms' }),
        judge('commands that did not arrive', sent.lost, '=', 0, { kind: 'truth' }),
        judge('commands that arrived twice', sockets.repeats(), '=', 0, { kind: 'truth' }),
        judge('commands: acknowledged minus stored statuses', missing, '=', 0, { kind: 'truth' }),
      ],
      notes: [
        `${sent.count} commands, each acknowledged twice; ratios are of p50`,
        `p99 of the statuses themselves ${median(statusP99).toFixed(1)} ms`,
      ],
    };
  } finally {
    sockets.close();
    await subject.child.kill();
  }
}

/** An open loop: a command whose turn has come is sent, whatever became of those before. */
async function sendFor(
  { port, token, robot_ids }: Subject,
  { arrivedAtMs }: RobotSockets,
  durationMs: number,
) {
  const startedAtMs = performance.now();
  const count = Math.floor((durationMs / 1000) * COMMANDS_PER_SECOND);
  const body = { action: 'move_to', parameters: { x: 3.5, y: -1.25 } };
  const sending = Array.from({ length: count }, async (_, n) => {
    const dueMs = startedAtMs + (n * 1000) / COMMANDS_PER_SECOND;
    await sleep(dueMs - performance.now());
    const sentAtMs = performance.now();
    const path = `/api/v1/robots/${robot_ids[n % robot_ids.length]}/control`;
    const { command_id } = await call<{ command_id: string }>(port, path, { token, body });
    return { sentAtMs, command_id };
  });
  const sent = await Promise.all(sending);
  const limitMs = performance.now() + ARRIVAL_LIMIT_MS;
  const missing = () => sent.filter(({ command_id }) => !arrivedAtMs.has(command_id));
  while (missing().length > 0 && performance.now() < limitMs) await sleep(10);
  const latencies = new Latencies();
  for (const { sentAtMs, command_id } of sent) {
    const atMs = arrivedAtMs.get(command_id);
    if (atMs !== undefined) latencies.add(atMs - sentAtMs);
  }
  return { latencies: latencies.ascending(), lost: missing().length, count };
}

function medianP99(rounds: readonly Round[]): number {
  return median(rounds.map(({ p99_ms }) => p99_ms));
}

function rowOf(variant: string, rounds: Round[], base: Round[]): TableRow {
  const p50 = median(rounds.map(({ p50_ms }) => p50_ms));
  return {
    variant,
    per_second: COMMANDS_PER_SECOND,
    ratio: p50 / median(base.map(({ p50_ms }) => p50_ms)),
    p50_ms: p50,
    p99_ms: medianP99(rounds),
    cpu_us_per_request: null,
    rounds,
  };
}
