import Database from 'better-sqlite3';
import { startFleetwireSubject } from '../subjects/fleetwire.js';
import { statusObject } from './status-body.js';

const SECONDS_PER_DAY = 86_400;
const ROBOTS = 100;
const ROWS_PER_TRANSACTION = 10_000;

export interface FilledDatabase {
  path: string;
  robot_ids: string[];
  /** The robot with one status a second for one day; the other rows belong to the others, evenly, in the same day. */
  day_robot_id: string;
  day_rows: number;
  start_ms: number;
  end_ms: number;
  rows: number;
}

/**
 * Lets the server make a database with robots, then fills in `rows` statuses past it, in order of time, so that the
 * rows of one robot lie apart from each other as they do when a fleet reports together.
 */
export async function fillDatabase(
  directory: string,
  path: string,
  rows: number,
): Promise<FilledDatabase> {
  const robotIds = Array.from({ length: ROBOTS }, (_, index) => `robot-${index}`);
  const subject = await startFleetwireSubject(
    { directory, name: 'fleetwire-fill', databasePath: path },
    robotIds,
  );
  await subject.child.stop();
  const startMs = Math.floor(Date.now() / 86_400_000 - 2) * 86_400_000;
  insertDay(path, robotIds, startMs, rows);
  return {
    path,
    robot_ids: robotIds,
    day_robot_id: robotIds[0] as string,
    day_rows: SECONDS_PER_DAY,
    start_ms: startMs,
    end_ms: startMs + SECONDS_PER_DAY * 1000 - 1,
    rows,
  };
}

function insertDay(path: string, robotIds: string[], startMs: number, rows: number): void {
  const db = new Database(path);
  try {
    db.pragma('synchronous = OFF');
    const accountId = db.prepare('SELECT account_id FROM robots LIMIT 1').pluck().get();
    const insert = db.prepare(
      `INSERT INTO robot_statuses
         (robot_id, account_id, status_json, timestamp, received_at, x, y, lat, lng, battery_level)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    let inserted = 0;
    const add = (robot: number, timestampMs: number): void => {
      if (inserted % ROWS_PER_TRANSACTION === 0) {
        if (db.inTransaction) db.exec('COMMIT');
        db.exec('BEGIN');
      }
      const status = statusObject(0, inserted++);
      const { local_position: local, global_position: global } = status;
      insert.run(
        robotIds[robot],
        accountId,
        JSON.stringify(status),
        timestampMs,
        timestampMs + 20,
        local.x,
        local.y,
        global.latitude,
        global.longitude,
        status.battery_level,
      );
    };
    const others = rows - SECONDS_PER_DAY;
    let otherRows = 0;
    for (let second = 0; second < SECONDS_PER_DAY; second++) {
      const atMs = startMs + second * 1000;
      add(0, atMs);
      for (; otherRows < ((second + 1) * others) / SECONDS_PER_DAY; otherRows++) {
        add(1 + (otherRows % (robotIds.length - 1)), atMs + (otherRows % 1000));
      }
    }
    db.exec('COMMIT');
    db.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    db.close();
  }
}
