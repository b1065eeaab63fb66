import { type Cell, rowOf, runRounds, throughputRatio } from '../lib/rounds.js';
import type { Bench, SuiteResult } from '../lib/suite.js';
import { judge } from '../lib/verdict.js';
import { startFleetwireSubject } from '../subjects/fleetwire.js';
import { startFloor } from '../subjects/floor.js';
import { countMissingRows, type Subject } from '../subjects/subject.js';

const SAMPLES = 100;
const CONNECTIONS = 8;
const DAY_MS = 86_400_000;

/** Batches of 100 samples with their own times and event ids; statuses per second against single ones to the floor. */
export async function batch(bench: Bench): Promise<SuiteResult> {
  const { directory } = bench;
  const robotIds = Array.from({ length: 64 }, (_, index) => `robot-${index}`);
  const subjects: Subject[] = [];
  try {
    const floor = await startFloor(directory, robotIds);
    subjects.push(floor);
    const fleetwire = await startFleetwireSubject(
      { directory, name: 'fleetwire', databasePath: `${directory}/fleetwire.db` },
      robotIds,
    );
    subjects.push(fleetwire);
    const cells: [Cell, Cell] = [
      {
        name: 'floor, one status a request, c=64',
        subject: floor,
        connections: 64,
        workload: { kind: 'status', token: floor.token, robot_ids: robotIds },
        statuses_per_request: 1,
      },
      {
        name: `fleetwire, batches of ${SAMPLES}, c=${CONNECTIONS} (statuses/s)`,
        subject: fleetwire,
        connections: CONNECTIONS,
        workload: {
          kind: 'batch',
          token: fleetwire.token,
          robot_ids: robotIds,
          size: SAMPLES,
          first_timestamp_ms: Date.now() - 60 * DAY_MS,
        },
        statuses_per_request: SAMPLES,
      },
    ];
    const { cells: measured, acknowledged } = await runRounds(bench, cells);
    const [floorRounds, batchRounds] = measured as [
      (typeof measured)[number],
      (typeof measured)[number],
    ];
    const ratio = throughputRatio(batchRounds, floorRounds);
    const missing = await countMissingRows(fleetwire, acknowledged.get(fleetwire) ?? 0);
    return {
      rows: [rowOf(floorRounds, floorRounds), rowOf(batchRounds, floorRounds)],
      verdicts: [
        judge('batch of 100, statuses/s / floor req/s', ratio, '>=', 2),
        judge('batch: acknowledged minus stored rows', missing, '=', 0, { kind: 'truth' }),
      ],
      notes: [],
    };
  } finally {
    await Promise.all(subjects.map((subject) => subject.child.kill()));
  }
}
