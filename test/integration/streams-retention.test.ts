import { expect, it } from 'vitest';
import { horizonOf, type StreamName } from '../../src/db/repositories/stream-horizons.js';
import { createLogger } from '../../src/lib/logger.js';
import { createRetention, type RetentionDeps } from '../../src/services/retention.js';
import { startApp } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { logRow, NOON_MS, useFleetDatabase } from '../support/fleet-database.js';
import { createStoppedClock } from '../support/identity.js';
import { openSse } from '../support/sse.js';
import { connect } from '../support/trpc-client.js';
import { until } from '../support/until.js';

const DAY_MS = 86_400_000;
const log = createLogger('silent', { write: () => {} });

describeEachDatabase('retention of what streams are replayed from', (kind) => {
  const fleet = useFleetDatabase(kind);
  const db = () => fleet().handle.db;

  async function start(overrides: Partial<RetentionDeps>) {
    await db().deleteFrom('robots').execute();
    await db().deleteFrom('accounts').execute();
    await fleet().addAccount('owner');
    for (const robot of ['r1', 'r2']) await fleet().addRobot('owner', robot);
    const clock = createStoppedClock();
    const days = { statusDays: null, logDays: null };
    return createRetention({ db: db(), clock, log, ...days, ...overrides });
  }
  const horizons = (stream: StreamName) =>
    Promise.all(
      [['r1'], ['r2'], undefined].map((robot_ids) =>
        horizonOf(db(), { stream, account_id: 'owner', robot_ids }),
      ),
    );
  const days = (ago: number) => NOON_MS - ago * DAY_MS;

  it('notes up to which line a log was deleted, robot by robot', async () => {
    const retention = await start({ logDays: 2 });
    const verdicts = await fleet().handle.ingest.write(
      [
        ...Array.from({ length: 450 }, (_, n) => ({ robot_id: 'r1', timestamp: days(10) + n })),
        { robot_id: 'r2', timestamp: days(1) },
        // Came late: it is older than those before it.
        { robot_id: 'r1', timestamp: days(3) },
        { robot_id: 'r1', timestamp: days(1) },
      ].map(logRow),
    );
    const ids = verdicts.map((verdict) => (verdict.outcome === 'stored' ? verdict.id : Number.NaN));
    expect(await horizons('logs')).toEqual([0, 0, 0]);
    expect(await retention.sweep()).toBe(451);
    const late = ids.at(-2);
    expect(await horizons('logs')).toEqual([late, 0, late]);
    await fleet().handle.ingest.write([logRow({ robot_id: 'r1', timestamp: days(1) })]);
    expect(await retention.sweep()).toBe(0);
    expect(await horizons('logs')).toEqual([late, 0, late]);
  });

  it('notes nothing that was not deleted', async () => {
    const failing = db().withPlugin({
      transformQuery({ node }) {
        if (node.kind === 'InsertQueryNode') throw new Error('the power goes');
        return node;
      },
      transformResult: async ({ result }) => result,
    });
    const retention = await start({ db: failing, logDays: 2 });
    await fleet().handle.ingest.write([logRow({ robot_id: 'r1', timestamp: days(10) })]);
    await expect(retention.sweep()).rejects.toThrow('the power goes');
    expect(await horizons('logs')).toEqual([0, 0, 0]);
    expect(await db().selectFrom('robot_logs').select('id').execute()).toHaveLength(1);
  });

  it('does the same for messages', async () => {
    const retention = await start({ messageDays: 2 });
    const message = (robot_id: string, timestamp: number) => ({
      kind: 'message' as const,
      row: {
        ...{ robot_id, account_id: 'owner', schema_id: 's', payload: '{}' },
        ...{ timestamp, received_at: timestamp, event_id: null },
      },
    });
    await fleet().handle.ingest.write([
      ...[message('r1', days(5)), message('r1', days(4)), message('r2', days(1))],
    ]);
    expect(await retention.sweep()).toBe(2);
    const [kept] = await db().selectFrom('robot_messages').select(['id', 'robot_id']).execute();
    expect(kept?.robot_id).toBe('r2');
    expect(await horizons('messages')).toEqual([kept!.id - 1, 0, kept!.id - 1]);
  });

  it('does the same for the changes of alerts and commands, stream by stream', async () => {
    const retention = await start({ eventDays: 30 });
    const rows = [
      ['alerts', 'r1', 40],
      ['commands', 'r1', 39],
      ['alerts', 'r2', 38],
      ['alerts', 'r1', 37],
      ['alerts', 'r1', 29],
    ] as const;
    const ids: number[] = [];
    for (const [stream, robot_id, ago] of rows) {
      const event = { stream, robot_id, account_id: 'owner', payload: '{}', created_at: days(ago) };
      const row = await db()
        .insertInto('stream_events')
        .values(event)
        .returning('id')
        .executeTakeFirstOrThrow();
      ids.push(row.id);
    }
    expect(await retention.sweep()).toBe(4);
    expect(await horizons('alerts')).toEqual([ids[3], ids[2], ids[3]]);
    expect(await horizons('commands')).toEqual([ids[1], 0, ids[1]]);
    expect(await db().selectFrom('stream_events').select('id').execute()).toHaveLength(1);
  });
});

describeEachDatabase('a reader whose cursor is older than what is kept', (kind) => {
  it('is told so on both doors, then gets what is left', async () => {
    const clock = createStoppedClock();
    const app = await startApp(kind, { clock, config: { retention: { log_days: 2 } } });
    for (const robot_id of ['r1', 'r2']) {
      await app.call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' });
    }
    const push = async (robot: string, messages: string[]) => {
      const logs = messages.map((message) => ({ topic: 't', message }));
      await app.call('POST', `/api/v1/robots/${robot}/logs/batch`, { logs });
    };
    await push('r1', ['1', '2', '3']);
    await push('r2', ['4']);
    clock.advance(DAY_MS);
    await push('r1', ['5', '6']);
    clock.advance(1.5 * DAY_MS);
    await until('the sweep', async () => {
      const { data } = (await app.call('GET', '/api/v1/robots/r1/logs')).json;
      return data.count === 2;
    });
    await push('r1', ['7']);

    const open = (robot: string, cursor: number) =>
      openSse(`${app.url}/api/v1/robots/${robot}/logs/subscribe`, {
        authorization: `Bearer ${app.admin.token}`,
        'last-event-id': String(cursor),
      });
    const behind = await open('r1', 1);
    const events = await behind.reach(4);
    expect(behind.blocks[1]).toEqual({
      id: '1',
      event: 'reset',
      data: '{"type":"reset","begins_after":"3"}',
    });
    expect(events.slice(1).map(({ message }) => message)).toEqual(['5', '6', '7']);
    const fitting = await open('r1', 3);
    expect((await fitting.reach(3)).map(({ message }) => message)).toEqual(['5', '6', '7']);
    const other = await open('r2', 0);
    expect(await other.reach(1)).toEqual([{ type: 'reset', begins_after: '4' }]);

    const seen: unknown[] = [];
    const client = connect(app, app.admin.token);
    const subscription = client.logs.live.subscribe(
      { lastEventId: '2' },
      { onData: ({ id, data }) => void seen.push([id, data.type === 'log' ? data.message : data]) },
    );
    await until('the rest', () => seen.length === 4);
    subscription.unsubscribe();
    expect(seen).toEqual([
      ['2', { type: 'reset', begins_after: '4' }],
      ...['5', '6', '7'].map((message) => [message, message]),
    ]);
  });
});
