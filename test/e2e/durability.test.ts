import { expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/db/client.js';
import { call } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { startLoad } from '../support/load.js';
import { logIn, startServer } from '../support/server-process.js';

const ROUNDS = 3;
const ENOUGH = 400;

describeEachDatabase('a server that is killed under load', (kind) => {
  it('has every status that it acknowledged', async () => {
    const database = await kind.create();
    onTestFinished(database.dispose);
    const acknowledged = new Set<string>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const { url, stop } = await startServer(database);
      const token = await logIn(url);
      const robot = { robot_id: 'robot', robot_type: 'mobile_robot' };
      expect((await call(`${url}/api/v1/robots`, 'POST', robot, token)).status).toBe(200);
      const load = startLoad({ url, token, robotId: 'robot', tag: `round-${round}` });
      await load.reach(ENOUGH);
      expect(await stop('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
      await load.stop();
      // It was in the middle of something.
      expect(load.failures).toContain('closed');
      for (const id of load.acknowledged) acknowledged.add(id);
    }
    const { db, close } = await openDatabase(database.config);
    onTestFinished(close);
    const rows = await db.selectFrom('robot_statuses').select('event_id').execute();
    const stored = new Set(rows.map(({ event_id }) => event_id));
    expect(acknowledged.size).toBeGreaterThanOrEqual(ROUNDS * ENOUGH);
    expect([...acknowledged].filter((id) => !stored.has(id))).toEqual([]);
    expect(rows).toHaveLength(stored.size);

    const restarted = await startServer(database);
    const latest = await call(
      `${restarted.url}/api/v1/robots/robot/status`,
      'GET',
      undefined,
      await logIn(restarted.url),
    );
    expect(latest.json.data.status).toMatchObject({ battery_level: 50 });
  });
});
