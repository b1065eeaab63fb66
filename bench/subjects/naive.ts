import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { openSqliteStore } from '../lib/status-store.js';
import { type Subject, startComparison } from './subject.js';

export async function startNaive(directory: string, robotIds: string[]): Promise<Subject> {
  const databasePath = join(directory, 'naive.db');
  const token = randomUUID();
  const { child, port } = await startComparison('naive', directory, [
    databasePath,
    token,
    ...robotIds,
  ]);
  return {
    name: 'naive',
    child,
    port,
    token,
    robot_ids: robotIds,
    openStore: async () => openSqliteStore(databasePath),
  };
}
