import type { Workload } from '../generator/job.js';
import { type Cell, type CellRounds, rowOf, runRounds, throughputRatio } from '../lib/rounds.js';
import { medianOfRatios } from '../lib/stats.js';
import { statusObject } from '../lib/status-body.js';
import type { Bench, SuiteResult } from '../lib/suite.js';
import { judge } from '../lib/verdict.js';
import { type Subject, startComparison } from '../subjects/subject.js';

const CONNECTIONS = 64;
const BATCH = 5;
const TOKEN = 'bench';
const INPUT = { robot_id: 'robot-1' };
const BODY = JSON.stringify({ ...INPUT, status: statusObject(0, 1) });

const post = (path: string): Workload => ({ kind: 'post', token: TOKEN, path, body: BODY });
const get = (path: string): Workload => ({ kind: 'get', token: TOKEN, path });
const queried = (input: object) => `input=${encodeURIComponent(JSON.stringify(input))}`;
const QUERY = get(`/trpc/ask?${queried(INPUT)}`);
const QUERIES = get(
  `/trpc/${Array(BATCH).fill('ask').join(',')}?batch=1&${queried({ ...Array(BATCH).fill(INPUT) })}`,
);

/** One call without a database through REST and tRPC, with and without the fast path and the compiled chain. */
export async function rpc(bench: Bench): Promise<SuiteResult> {
  const subjects: Subject[] = [];
  async function start(name: string, server: string, flags: string[] = []): Promise<Subject> {
    const started = await startComparison(server, bench.directory, flags);
    const subject = { name, ...started, token: TOKEN, robot_ids: [], openStore: null };
    subjects.push(subject);
    return subject;
  }
  function cell(name: string, subject: Subject, workload: Workload, calls = 1): Cell {
    return { name, subject, workload, connections: CONNECTIONS, statuses_per_request: calls };
  }
  try {
    const floor = await start('floor', 'rpc-floor');
    const library = await start('library', 'rpc');
    const fast = await start('fast', 'rpc', ['--fast']);
    const compiled = await start('compiled', 'rpc', ['--fast', '--compiled']);
    const cells = {
      floor: cell('floor: Fastify, POST', floor, post('/call')),
      direct: cell('REST, bound directly', compiled, post('/direct')),
      row: cell('REST, compiled chain', compiled, post('/row')),
      libraryRow: cell("REST, library's chain", library, post('/row')),
      adapter: cell("tRPC, library's adapter", library, post('/trpc/take')),
      fast: cell("tRPC, fast path, library's chain", fast, post('/trpc/take')),
      compiled: cell('tRPC, fast path, compiled chain', compiled, post('/trpc/take')),
      floorGet: cell('floor: Fastify, GET', floor, get('/call?robot_id=robot-1')),
      adapterGet: cell("tRPC query, library's adapter", library, QUERY),
      compiledGet: cell('tRPC query, fast path, compiled chain', compiled, QUERY),
      adapterBatch: cell(`batch of ${BATCH} (calls/s), library's adapter`, library, QUERIES, BATCH),
      compiledBatch: cell(`batch of ${BATCH} (calls/s), fast, compiled`, compiled, QUERIES, BATCH),
    };
    const all = Object.values(cells);
    const { cells: measured } = await runRounds(bench, all);
    const of = (one: Cell) => measured[all.indexOf(one)] as CellRounds;
    const base = of(cells.floor);
    const baseGet = of(cells.floorGet);
    const gets = [cells.floorGet, cells.adapterGet, cells.compiledGet];
    gets.push(cells.adapterBatch, cells.compiledBatch);
    const rows = all.map((one) => rowOf(of(one), gets.includes(one) ? baseGet : base));
    const ratio = (one: Cell, other: Cell) => throughputRatio(of(one), of(other));
    return {
      rows,
      verdicts: [
        judge('tRPC fast path / floor', ratio(cells.fast, cells.floor), '>=', 0.25),
        judge("tRPC fast path / library's adapter", ratio(cells.fast, cells.adapter), '>=', 2.5),
        judge('with compiled chain / floor', ratio(cells.compiled, cells.floor), '>=', 0.4),
        judge('with compiled chain, p99 / floor p99', p99Ratio(of(cells.compiled), base), '<=', 6),
        judge('REST, compiled chain / direct', ratio(cells.row, cells.direct), '>=', 0.6),
      ],
      notes: [],
    };
  } finally {
    await Promise.all(subjects.map((subject) => subject.child.kill()));
  }
}

function p99Ratio(result: CellRounds, base: CellRounds): number {
  return medianOfRatios(
    result.rounds.map((round) => round.p99_ms),
    base.rounds.map((round) => round.p99_ms),
  );
}
