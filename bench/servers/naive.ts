import { createHash } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import Database from 'better-sqlite3';
import fastify from 'fastify';
import { STATUS_RESPONSE_SCHEMA, statusAnswer } from './status-route.js';

// What a careful but plain server does for each status: two prepared reads, one insert, one durable commit.
const [databasePath, token, ...robotIds] = process.argv.slice(2) as [string, string, ...string[]];
const db = new Database(databasePath);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.exec(`
  CREATE TABLE accounts (id TEXT PRIMARY KEY, certification_key_hash TEXT NOT NULL UNIQUE);
  CREATE TABLE robots (id TEXT PRIMARY KEY, account_id TEXT NOT NULL);
  CREATE TABLE robot_statuses (
    id INTEGER PRIMARY KEY, robot_id TEXT NOT NULL, account_id TEXT NOT NULL, status_json TEXT NOT NULL,
    timestamp INTEGER NOT NULL, received_at INTEGER NOT NULL, x REAL, y REAL, lat REAL, lng REAL, battery_level REAL);
  CREATE INDEX robot_statuses_track ON robot_statuses (robot_id, timestamp, x, y, lat, lng);
`);
db.prepare('INSERT INTO accounts VALUES (?, ?)').run('account', sha256(token));
const addRobot = db.prepare('INSERT INTO robots VALUES (?, ?)');
for (const robotId of robotIds) addRobot.run(robotId, 'account');

const findAccount = db.prepare<[string], { id: string }>(
  'SELECT id FROM accounts WHERE certification_key_hash = ?',
);
const findRobot = db.prepare<[string], { account_id: string }>(
  'SELECT account_id FROM robots WHERE id = ?',
);
const insertStatus = db.prepare(
  `INSERT INTO robot_statuses
     (robot_id, account_id, status_json, timestamp, received_at, x, y, lat, lng, battery_level)
   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
);

interface Body {
  status: {
    local_position: { x: number; y: number };
    global_position: { latitude: number; longitude: number };
    battery_level: number;
  };
}

const app = fastify({ logger: false });
app.post<{ Params: { robotId: string }; Body: Body }>(
  '/api/v1/robots/:robotId/status',
  { schema: { response: { 200: STATUS_RESPONSE_SCHEMA } } },
  async (request, reply) => {
    const account = findAccount.get(sha256(request.headers.authorization?.slice(7) ?? ''));
    if (account === undefined) return reply.code(401).send();
    const robot = findRobot.get(request.params.robotId);
    if (robot === undefined) return reply.code(404).send();
    if (robot.account_id !== account.id) return reply.code(403).send();
    const { status } = request.body;
    const nowMs = Date.now();
    insertStatus.run(
      request.params.robotId,
      account.id,
      JSON.stringify(status),
      nowMs,
      nowMs,
      status.local_position.x,
      status.local_position.y,
      status.global_position.latitude,
      status.global_position.longitude,
      status.battery_level,
    );
    return statusAnswer(nowMs);
  },
);
await app.listen({ host: '127.0.0.1', port: 0 });
process.send?.({ port: (app.server.address() as AddressInfo).port });
process.on('SIGTERM', () =>
  app.close().then(() => {
    db.close();
    process.exit();
  }),
);
process.on('disconnect', () => process.exit());

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
