import { type Subject, startComparison } from './subject.js';

export async function startFloor(directory: string, robotIds: string[]): Promise<Subject> {
  const { child, port } = await startComparison('floor', directory, []);
  return { name: 'floor', child, port, token: 'floor', robot_ids: robotIds, openStore: null };
}
