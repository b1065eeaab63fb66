import { performance } from 'node:perf_hooks';
import Database from 'better-sqlite3';

// The baseline of a trajectory: read the stored texts by index, parse each, pick four numbers, write them as JSON.
const [databasePath, robotId, startMs, endMs] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
];
const db = new Database(databasePath, { readonly: true });
const select = db.prepare<[string, number, number], { status_json: string; timestamp: number }>(
  `SELECT status_json, timestamp FROM robot_statuses
   WHERE robot_id = ? AND timestamp >= ? AND timestamp <= ? ORDER BY timestamp, id`,
);

function answerOnce(): { ms: number; points: number } {
  const startedAtMs = performance.now();
  const path = select.all(robotId, Number(startMs), Number(endMs)).map((row) => {
    const status = JSON.parse(row.status_json);
    return {
      x: status.local_position?.x ?? null,
      y: status.local_position?.y ?? null,
      lat: status.global_position?.latitude ?? null,
      lng: status.global_position?.longitude ?? null,
      timestamp: new Date(row.timestamp).toISOString(),
    };
  });
  const text = JSON.stringify({ robot_id: robotId, count: path.length, path });
  Buffer.from(text);
  return { ms: performance.now() - startedAtMs, points: path.length };
}

process.on('message', () => process.send?.(answerOnce()));
process.on('disconnect', () => process.exit());
