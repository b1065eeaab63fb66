import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/db/client.js';
import { startCuttingProxy } from '../support/cutting-proxy.js';
import { testDatabases } from '../support/databases.js';
import { logRow, statusRow, useFleetDatabase } from '../support/fleet-database.js';
import { until } from '../support/until.js';

const postgres = testDatabases.find(({ dialect }) => dialect === 'postgres')!;

describe.skipIf(postgres.unavailable)('connections to PostgreSQL that are lost', () => {
  const fleet = useFleetDatabase(postgres);

  it('fail what is under way and nothing else', async () => {
    const { handle, database, addAccount, addRobot } = fleet();
    await addRobot(await addAccount('owner'), 'robot');
    if (database.config.type !== 'postgres') throw new Error('another database than asked for');
    const { connection } = database.config;
    const proxy = await startCuttingProxy(`http://127.0.0.1:${connection.port}`, () => Infinity);
    const cut = await openDatabase({
      ...database.config,
      connection: { ...connection, host: '127.0.0.1', port: Number(new URL(proxy.url).port) },
    });
    onTestFinished(() => cut.close());

    const plain = [statusRow({ status_json: 'plain' })];
    const others = [statusRow({ event_id: 'e' }), logRow({})];
    await handle.db.transaction().execute(async (tx) => {
      await sql`lock table robot_statuses`.execute(tx);
      const outcomes = Promise.allSettled([
        sql`select pg_sleep(600)`.execute(cut.db),
        cut.db.transaction().execute((inner) => sql`select pg_sleep(600)`.execute(inner)),
        cut.ingest.write(plain),
        cut.ingest.write(others),
      ]);
      await until('all of them wait', async () => {
        const { rows } = await sql<{ waiting: number }>`
          select count(*) as waiting from pg_stat_activity
          where datname = current_database() and wait_event in ('relation', 'PgSleep')
        `.execute(handle.db);
        return rows[0]?.waiting === 4;
      });
      proxy.cutAll();
      for (const { status } of await outcomes) expect(status).toBe('rejected');
    });

    await cut.ping();
    for (const rows of [plain, others]) {
      for (const { outcome } of await cut.ingest.write(rows)) expect(outcome).toBe('stored');
    }
  });
});
