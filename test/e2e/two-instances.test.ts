import { expect, it, onTestFinished } from 'vitest';
import { openDatabase } from '../../src/db/client.js';
import { migrationStatus } from '../../src/db/migrate.js';
import { call } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { logIn, startServer } from '../support/server-process.js';

const ROUNDS = 3;

describeEachDatabase('two servers that start at once on one fresh database', (kind) => {
  it('both come up and share it', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const database = await kind.create();
      onTestFinished(database.dispose);
      const servers = await Promise.all([startServer(database), startServer(database)]);
      const tokens = await Promise.all(servers.map(({ url }) => logIn(url)));
      expect(tokens[0]).toBe(tokens[1]);
      const [first, second] = servers.map(({ url }) => `${url}/api/v1/robots`) as [string, string];
      const token = tokens[0]!;
      await call(first, 'POST', { robot_id: 'robot', robot_type: 'r' }, token);
      const pushes = [first, second].flatMap((robots) =>
        Array.from({ length: 20 }, () =>
          call(`${robots}/robot/status`, 'POST', { status: {} }, token),
        ),
      );
      for (const { status } of await Promise.all(pushes)) expect(status).toBe(200);
      for (const robots of [first, second]) {
        const { json } = await call(`${robots}/robot/history?limit=100`, 'GET', undefined, token);
        expect(json.data.count).toBe(40);
      }
      const { db, close } = await openDatabase(database.config);
      onTestFinished(close);
      for (const { executedAt } of await migrationStatus(db)) expect(executedAt).toBeDefined();
      for (const { stop } of servers) expect(await stop()).toEqual({ code: 0, signal: null });
    }
  });
});
