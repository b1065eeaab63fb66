import type { Workload } from '../generator/job.js';
import { type Cell, rowOf, runRounds, throughputRatio } from '../lib/rounds.js';
import type { Bench, SuiteResult } from '../lib/suite.js';
import { judge, type Verdict } from '../lib/verdict.js';
import { startFleetwireSubject } from '../subjects/fleetwire.js';
import { startFloor } from '../subjects/floor.js';
import { startNaive } from '../subjects/naive.js';
import { countMissingRows, type Subject } from '../subjects/subject.js';
import { killUnderLoad } from './kill-under-load.js';

const ROBOTS = 256;

/** One durable status per request over REST, against Fastify doing nothing and against a commit per request. */
export async function ingest(bench: Bench): Promise<SuiteResult> {
  const { directory } = bench;
  const robotIds = Array.from({ length: ROBOTS }, (_, index) => `robot-${index}`);
  const subjects: Subject[] = [];
  const started = async (starting: Promise<Subject>): Promise<Subject> => {
    const subject = await starting;
    subjects.push(subject);
    return subject;
  };
  const notes: string[] = [];
  try {
    const floor = await started(startFloor(directory, robotIds));
    const naive = await started(startNaive(directory, robotIds));
    const fleetwire = await started(
      startFleetwireSubject(
        { directory, name: 'fleetwire', databasePath: `${directory}/fleetwire.db` },
        robotIds,
      ),
    );
    const cells = {
      floor64: cellOf(floor, 64),
      naive64: cellOf(naive, 64),
      fleetwire64: cellOf(fleetwire, 64),
      floor256: cellOf(floor, 256),
      fleetwire256: cellOf(fleetwire, 256),
    };
    const server = await bench.postgres();
    let onPostgres: Cell | null = null;
    if (typeof server === 'string')
      notes.push(`fleetwire on PostgreSQL was not measured: ${server}`);
    else {
      const postgresUrl = await server.createDatabase('ingest');
      const options = { directory, name: 'fleetwire-postgres', databasePath: '', postgresUrl };
      onPostgres = cellOf(await started(startFleetwireSubject(options, robotIds)), 64);
    }

    const all = [...Object.values(cells), ...(onPostgres === null ? [] : [onPostgres])];
    const { cells: measured, acknowledged } = await runRounds(bench, all);
    const of = (cell: Cell) => measured[all.indexOf(cell)] as (typeof measured)[number];
    const floor64 = of(cells.floor64);
    const floor256 = of(cells.floor256);
    const fleetwire64 = of(cells.fleetwire64);
    const rows = [
      rowOf(floor64, floor64),
      rowOf(of(cells.naive64), floor64),
      rowOf(fleetwire64, floor64),
      ...(onPostgres === null ? [] : [rowOf(of(onPostgres), floor64)]),
      rowOf(floor256, floor256),
      rowOf(of(cells.fleetwire256), floor256),
    ];
    const verdicts: Verdict[] = [
      judge('durable status / floor, c=64', throughputRatio(fleetwire64, floor64), '>=', 0.55),
      judge(
        'durable status / floor, c=256',
        throughputRatio(of(cells.fleetwire256), floor256),
        '>=',
        0.75,
      ),
      judge(
        'durable status / commit per request',
        throughputRatio(fleetwire64, of(cells.naive64)),
        '>=',
        4,
      ),
    ];
    if (onPostgres !== null) {
      const ratio = throughputRatio(of(onPostgres), floor64);
      verdicts.push(judge('durable status on PostgreSQL / floor, c=64', ratio, '>=', 0.55));
    }
    for (const subject of subjects) {
      const missing = await countMissingRows(subject, acknowledged.get(subject) ?? 0);
      if (subject.openStore === null) continue;
      verdicts.push(
        judge(`${subject.name}: acknowledged minus stored rows`, missing, '=', 0, {
          kind: 'truth',
        }),
      );
    }
    verdicts.push(...(await killUnderLoad(bench, robotIds)));
    return { rows, verdicts, notes };
  } finally {
    await Promise.all(subjects.map((subject) => subject.child.kill()));
  }
}

function cellOf(subject: Subject, connections: number): Cell {
  const workload: Workload = { kind: 'status', token: subject.token, robot_ids: subject.robot_ids };
  return {
    name: `${subject.name}, c=${connections}`,
    subject,
    connections,
    workload,
    statuses_per_request: 1,
  };
}
