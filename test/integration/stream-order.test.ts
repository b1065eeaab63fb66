import { sql } from 'kysely';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { type Db, openDatabase } from '../../src/db/client.js';
import { createPostgresIngest } from '../../src/db/postgres/group-insert.js';
import { lastLogId, logsAfter } from '../../src/db/repositories/logs.js';
import { appendStreamEvents, streamEventsAfter } from '../../src/db/repositories/stream-events.js';
import { createRandom } from '../../src/simulator/random.js';
import { describeEachDatabase } from '../support/databases.js';
import { logRow, NOON_MS, useFleetDatabase } from '../support/fleet-database.js';
import { until } from '../support/until.js';

const WRITERS = 4;
const GROUPS = 60;

describeEachDatabase('a reader that goes by ids while several servers write', (kind) => {
  const fleet = useFleetDatabase(kind);
  let accounts = 0;

  /** An account with a robot, and so many servers' connections to its database. */
  async function start(count: number) {
    accounts += 1;
    const account_id = `owner-${accounts}`;
    const robot_id = `robot-${accounts}`;
    await fleet().addAccount(account_id);
    await fleet().addRobot(account_id, robot_id);
    const servers = [];
    for (let n = 0; n < count; n += 1) {
      const handle = await openDatabase(fleet().database.config);
      onTestFinished(handle.close);
      servers.push(handle);
    }
    const line = (message: string) => logRow({ account_id, robot_id, message });
    return { account_id, robot_id, servers, line };
  }

  /** Reads page after page, and what is there at the end; the ids in the order in which they came. */
  async function follow(
    read: (after: number) => Promise<readonly { id: number }[]>,
    writing: Promise<unknown>,
  ): Promise<number[]> {
    const seen: number[] = [];
    let isWriting = true;
    void writing.finally(() => {
      isWriting = false;
    });
    for (;;) {
      const wasWriting = isWriting;
      const page = await read(seen.at(-1) ?? 0);
      seen.push(...page.map(({ id }) => id));
      if (page.length === 0 && !wasWriting) return seen;
    }
  }

  it('misses no line', async () => {
    const { account_id, servers, line } = await start(WRITERS + 1);
    const [reader, ...writers] = servers;
    const random = createRandom(7);
    const stored: number[] = [];
    const writing = Promise.all(
      writers.map(async ({ ingest }, writer) => {
        for (let group = 0; group < GROUPS; group += 1) {
          const rows = Array.from({ length: 1 + Math.floor(random() * 40) }, (_, n) =>
            line(`${writer}/${group}/${n}`),
          );
          const verdicts = await ingest.write(rows);
          const ids = verdicts.map((verdict) => (verdict.outcome === 'stored' ? verdict.id : 0));
          // Those who watch are told in the order of the rows, and go by ids as well.
          expect(ids).toEqual([...ids].sort((a, b) => a - b));
          stored.push(...ids);
        }
      }),
    );
    const seen = await follow(
      (after) => logsAfter(reader!.db, { account_id, after, limit: 100 }),
      writing,
    );
    await writing;
    expect(stored.length).toBeGreaterThan(WRITERS * GROUPS);
    expect(seen).toEqual(stored.sort((a, b) => a - b));
    expect(await lastLogId(reader!.db)).toBe(stored.at(-1));
  });

  it('misses no change of an alert or a command', async () => {
    const { account_id, robot_id, servers } = await start(WRITERS + 1);
    const [reader, ...writers] = servers;
    const stored: number[] = [];
    const writing = Promise.all(
      writers.map(async ({ db }, writer) => {
        for (let change = 0; change < GROUPS; change += 1) {
          const events = [0, 1].map((n) => ({
            ...{ stream: 'alerts', account_id, robot_id, created_at: NOON_MS },
            payload: JSON.stringify({ writer, change, n }),
          }));
          stored.push(...(await db.transaction().execute((tx) => appendStreamEvents(tx, events))));
        }
      }),
    );
    const seen = await follow(
      (after) => streamEventsAfter(reader!.db, { stream: 'alerts', account_id, after, limit: 100 }),
      writing,
    );
    await writing;
    expect(stored).toHaveLength(WRITERS * GROUPS * 2);
    expect(seen).toEqual(stored.sort((a, b) => a - b));
  });

  // SQLite has one writer at a time.
  if (kind.dialect === 'sqlite') return;

  it('sees no id before all lower ones: while one server has drawn ids, no other draws any', async () => {
    const { account_id, servers, line } = await start(2);
    const [reader, other] = servers;
    const { client, ingest } = await openTransaction();
    const read = () => logsAfter(reader!.db, { account_id, after: 0, limit: 100 });
    await ingest.write([line('first')]);
    let isStored = false;
    const later = other!.ingest.write([line('second')]).then(() => {
      isStored = true;
    });
    await until('the other to wait', async () => (await waitingForLocks(reader!.db)) === 1);
    expect({ isStored, seen: await read() }).toEqual({ isStored: false, seen: [] });
    await client.query('commit');
    await later;
    expect((await read()).map(({ message }) => message)).toEqual(['first', 'second']);
  });

  it('would miss lines without the lock, which is what the test before is about', async () => {
    const { account_id, servers, line } = await start(2);
    const [reader, other] = servers;
    const { client } = await openTransaction();
    const read = (after: number) => logsAfter(reader!.db, { account_id, after, limit: 100 });
    const { robot_id, topic, message, timestamp } = line('first').row as Record<string, unknown>;
    await client.query(
      `insert into robot_logs (robot_id, account_id, topic, message, timestamp, received_at)
         values ($1, $2, $3, $4, $5, $5)`,
      [robot_id, account_id, topic, message, timestamp],
    );
    // It takes the lock, but the transaction before has not.
    await other!.ingest.write([line('second')]);
    const [second, ...others] = await read(0);
    expect([second?.message, others]).toEqual(['second', []]);
    await client.query('commit');
    expect(await read(second!.id)).toEqual([]);
    expect((await read(0)).map((row) => row.message)).toEqual(['first', 'second']);
  });

  /** A connection in the middle of a transaction, and the server's own way to write over it. */
  async function openTransaction() {
    const { config } = fleet().database;
    if (config.type !== 'postgres') throw new Error('PostgreSQL alone has these');
    const client = new pg.Client(config.connection);
    await client.connect();
    onTestFinished(() => client.end());
    await client.query('begin');
    return { client, ingest: createPostgresIngest(client as unknown as pg.Pool) };
  }
});

async function waitingForLocks(db: Db): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pg_locks where locktype = 'advisory' and not granted
      and database = (select oid from pg_database where datname = current_database())`.execute(db);
  return rows[0]?.count ?? 0;
}
