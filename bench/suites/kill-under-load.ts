import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSqliteStore } from '../lib/status-store.js';
import type { Bench } from '../lib/suite.js';
import { judge, type Verdict } from '../lib/verdict.js';
import { startFleetwire, startFleetwireSubject } from '../subjects/fleetwire.js';

/** Kills the server while 64 robots report, starts it again on the same file and looks for each acknowledged status. */
export async function killUnderLoad(bench: Bench, robotIds: string[]): Promise<Verdict[]> {
  bench.progress('SIGKILL under load');
  const databasePath = join(bench.directory, 'killed.db');
  const options = { directory: bench.directory, name: 'fleetwire-killed', databasePath };
  const subject = await startFleetwireSubject(options, robotIds);
  try {
    const load = bench.generator.run({
      port: subject.port,
      connections: 64,
      durationMs: 60_000,
      workload: { kind: 'status', token: subject.token, robot_ids: robotIds },
      untilDeath: true,
    });
    await Promise.race([load, sleep(bench.args.roundMs)]);
    await subject.child.kill();
    const { acknowledged_sequences: acknowledged } = await load;

    const again = await startFleetwire(options);
    await again.child.stop();
    const store = openSqliteStore(databasePath);
    const stored = await store.sequences();
    await store.close();
    const lost = acknowledged.filter((sequence) => !stored.has(sequence)).length;
    return [
      judge('SIGKILL under load: statuses acknowledged before', acknowledged.length, '>=', 1, {
        kind: 'truth',
      }),
      judge('SIGKILL under load: acknowledged statuses lost', lost, '=', 0, { kind: 'truth' }),
    ];
  } finally {
    await subject.child.kill();
  }
}
