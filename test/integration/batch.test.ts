import { expect, it } from 'vitest';
import type { CompiledQuery } from '../../src/db/client.js';
import { streamEventsAfter } from '../../src/db/repositories/stream-events.js';
import { systemClock } from '../../src/lib/clock.js';
import type { StreamEvent } from '../../src/realtime/event.js';
import { createMemoryHub } from '../../src/realtime/hub.js';
import { createJournal, journalTopic } from '../../src/services/journal.js';
import { describeEachDatabase } from '../support/databases.js';
import { accountRow, NOON_MS, robotRow, useFleetDatabase } from '../support/fleet-database.js';

describeEachDatabase('a batch', (kind) => {
  const database = useFleetDatabase(kind);
  const addAccount = (id: string): CompiledQuery =>
    database().handle.db.insertInto('accounts').values(accountRow(id)).returning('id').compile();
  const rename = (id: string, email: string): CompiledQuery =>
    database()
      .handle.db.updateTable('accounts')
      .set({ email })
      .where('id', '=', id)
      .returning(['id', 'email'])
      .compile();
  const accounts = async () => {
    const rows = await database().handle.db.selectFrom('accounts').select('id').execute();
    return rows.map(({ id }) => id).sort();
  };

  it('gives the rows of each statement, which see those before', async () => {
    const { batch } = database().handle;
    expect(await batch([addAccount('a'), rename('a', 'new@example.com')])).toEqual([
      [{ id: 'a' }],
      [{ id: 'a', email: 'new@example.com' }],
    ]);
  });

  it('does nothing at all when one of them comes to nothing', async () => {
    const { batch } = database().handle;
    expect(await batch([addAccount('b'), rename('nobody', 'x'), addAccount('c')])).toBeUndefined();
    expect(await accounts()).toEqual(['a']);
  });

  it('does nothing at all when one of them fails', async () => {
    const { batch } = database().handle;
    await expect(batch([addAccount('b'), addAccount('b')])).rejects.toThrow(/unique/i);
    expect(await accounts()).toEqual(['a']);
    expect(await batch([addAccount('b')])).toEqual([[{ id: 'b' }]]);
  });

  it('waits for an open transaction, and keeps out of it', async () => {
    const { batch, db } = database().handle;
    let outside: Promise<unknown> = Promise.resolve();
    const broken = db.transaction().execute(async (tx) => {
      await tx.insertInto('accounts').values(accountRow('inside')).execute();
      outside = batch([addAccount('outside')]);
      throw new Error('undo');
    });
    await expect(broken).rejects.toThrow('undo');
    await outside;
    expect(await accounts()).toEqual(['a', 'b', 'outside']);
  });

  it('tells of what it stored in the order of the journal, and of nothing else', async () => {
    const { db } = database().handle;
    await db.insertInto('robots').values(robotRow('a', 'robot')).execute();
    const hub = createMemoryHub();
    const journal = createJournal({ ...database().handle, hub, clock: systemClock });
    const told: [object, string | null][] = [];
    hub.subscribe<object>(journalTopic('commands', 'a'), {
      whenFull: 'end',
      write(events: readonly StreamEvent<object>[]) {
        for (const { payload, cursor } of events) told.push([payload, cursor]);
        return 'sent';
      },
      end() {},
    });
    const eventOf = (n: number) => ({
      ...({ stream: 'commands', account_id: 'a', robot_id: 'robot' } as const),
      payload: { n },
    });
    const asked: number[] = [];
    const results = await Promise.all([
      ...[0, 1, 2].map((n) =>
        journal.writeBatch(() => {
          asked.push(n);
          const target = n === 1 ? 'nobody' : 'a';
          return { queries: [rename(target, `${n}@example.com`)], event: eventOf(n) };
        }),
      ),
      journal.write(async (_tx, record) => {
        asked.push(3);
        record(eventOf(3));
      }),
    ]);
    expect(asked).toEqual([0, 1, 2, 3]);
    expect(results).toEqual([
      [[{ id: 'a', email: '0@example.com' }]],
      undefined,
      [[{ id: 'a', email: '2@example.com' }]],
      undefined,
    ]);
    const query = { stream: 'commands', account_id: 'a', after: 0, limit: 10 };
    const stored = await streamEventsAfter(db, query);
    expect(stored.map(({ id, payload }) => [JSON.parse(payload), String(id)])).toEqual(told);
    expect(told.map(([payload]) => payload)).toEqual([{ n: 0 }, { n: 2 }, { n: 3 }]);
    expect(stored.every(({ created_at }) => created_at > NOON_MS)).toBe(true);
  });
});
