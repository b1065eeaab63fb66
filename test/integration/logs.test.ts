import { describe, expect, it } from 'vitest';
import type { LiveLog } from '../../src/contract/logs.js';
import type { StreamStart } from '../../src/contract/streams.js';
import { type Account, useApp } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { expectData, expectFailure, INSTANT } from '../support/rest.js';
import { openSse } from '../support/sse.js';
import { connect } from '../support/trpc-client.js';
import { until } from '../support/until.js';

const NOON = '2026-01-25T12:00:00.000Z';
const NOON_MS = Date.parse(NOON);
const at = (ms: number) => NOON_MS + ms;

describeEachDatabase('logs', (kind) => {
  const app = useApp(kind);
  let robots = 0;

  /** A robot of its own. */
  async function addRobot(owner: Account = app().admin): Promise<string> {
    const robot_id = `robot-${++robots}`;
    await app().call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' }, owner.token);
    return robot_id;
  }
  const pathOf = (robotId: string) => `/api/v1/robots/${robotId}/logs`;
  const send = (robotId: string, logs: unknown[]) =>
    app().call('POST', `${pathOf(robotId)}/batch`, { logs });
  const list = async (robotId: string, search = '') => {
    const answer = await app().call('GET', `${pathOf(robotId)}${search}`);
    expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
    return answer.json.data;
  };
  const messagesOf = (page: { logs: { message: string }[] }) =>
    page.logs.map(({ message }) => message);
  const query = (values: Record<string, string>) => `?${new URLSearchParams(values)}`;

  describe('in', () => {
    it('takes a batch, and tells of each line what became of it', async () => {
      const robot = await addRobot();
      const answer = await send(robot, [
        { topic: 'nav', message: 'one', event_id: 'e1' },
        { topic: 'nav', message: 'one again', event_id: 'e1' },
        { topic: 'nav', message: 'two', level: 'warn', timestamp: NOON, other: [1] },
        { topic: '', message: 'three' },
        { topic: 'nav', message: 4 },
        { topic: 'nav', message: 'five', timestamp: '2026-02-30T00:00:00Z' },
        { topic: 'nav', message: 'six', timestamp: Date.now() + 3_600_000 },
        'seven',
        null,
      ]);
      expectData(answer, {
        robot_id: robot,
        stored: 2,
        duplicate: 1,
        rejected: 6,
        results: [
          { index: 0, result: 'stored' },
          { index: 1, result: 'duplicate' },
          { index: 2, result: 'stored' },
          { index: 3, result: 'rejected', reason: expect.stringMatching(/^topic: /) },
          { index: 4, result: 'rejected', reason: expect.stringMatching(/^message: /) },
          { index: 5, result: 'rejected', reason: 'timestamp: is not a date that exists' },
          { index: 6, result: 'rejected', reason: expect.stringMatching(/^timestamp: .* future/) },
          { index: 7, result: 'rejected', reason: expect.stringContaining('object') },
          { index: 8, result: 'rejected', reason: expect.stringContaining('object') },
        ],
      });
      const again = await send(robot, [{ topic: 'nav', message: 'one', event_id: 'e1' }]);
      expect(again.json.data).toMatchObject({ stored: 0, duplicate: 1, rejected: 0 });
      expect(messagesOf(await list(robot))).toEqual(['one', 'two']);
      expect((await app().call('GET', `/api/v1/robots/${robot}`)).json.data.presence).toBe(
        'online',
      );
    });

    it('takes 1,000 lines at once, in their order, and no more', async () => {
      const robot = await addRobot();
      const lines = (count: number) =>
        Array.from({ length: count }, (_, n) => ({ topic: 't', message: `${n}`, timestamp: NOON }));
      expect((await send(robot, lines(1_000))).json.data.stored).toBe(1_000);
      const page = await list(robot, '?limit=1000');
      expect(messagesOf(page)).toEqual(
        lines(1_000)
          .map(({ message }) => message)
          .reverse(),
      );
      expectFailure(await send(robot, lines(1_001)), 400, /^logs: /);
      expectFailure(await send(robot, []), 400, /^logs: /);
      expectFailure(
        await app().call('POST', `${pathOf(robot)}/batch`, {}),
        400,
        'logs are required',
      );
    });

    it('refuses a single line of the future as well', async () => {
      const robot = await addRobot();
      const line = { topic: 't', message: 'm', timestamp: Date.now() + 3_600_000 };
      expectFailure(await app().call('POST', pathOf(robot), line), 400, /^timestamp: .* future/);
      expect((await list(robot)).count).toBe(0);
    });
  });

  describe('out', () => {
    it('come newest first by their own time, of one time by their order', async () => {
      const robot = await addRobot();
      await send(robot, [
        { topic: 'a', message: 'third', timestamp: at(2) },
        { topic: 'b', message: 'first', level: 'error', timestamp: at(0) },
        { topic: 'a', message: 'second', timestamp: at(1) },
        { topic: 'a', message: 'second, later', timestamp: at(1) },
      ]);
      const page = await list(robot);
      expect(messagesOf(page)).toEqual(['third', 'second, later', 'second', 'first']);
      expect(page).toEqual({
        robot_id: robot,
        count: 4,
        logs: expect.any(Array),
        next_cursor: null,
      });
      expect(page.logs[3]).toEqual({
        id: expect.any(Number),
        robot_id: robot,
        account_id: app().admin.account_id,
        topic: 'b',
        message: 'first',
        level: 'error',
        timestamp: NOON,
        received_at: INSTANT,
      });
      expect(page.logs[0].level).toBeNull();
      const client = connect(app(), app().admin.token);
      expect(await client.logs.list.query({ robot_id: robot })).toEqual(page);
      const batch = await client.logs.pushBatch.mutate({
        robot_id: robot,
        logs: [{ topic: 'a', message: 'fourth' }, {}],
      });
      expect(batch).toMatchObject({ stored: 1, duplicate: 0, rejected: 1 });
    });

    it('by topic, level and time, both ends of it included', async () => {
      const robot = await addRobot();
      await send(
        robot,
        ['nav', 'nav', 'drive', 'drive'].map((topic, n) => ({
          ...{ topic, message: `${n}`, timestamp: at(n * 1_000) },
          ...(n % 2 === 1 && { level: 'warn' }),
        })),
      );
      const found = async (values: Record<string, string>) =>
        messagesOf(await list(robot, query(values)));
      expect(await found({ topic: 'nav' })).toEqual(['1', '0']);
      expect(await found({ level: 'warn' })).toEqual(['3', '1']);
      expect(await found({ topic: 'drive', level: 'warn' })).toEqual(['3']);
      expect(await found({ topic: 'na' })).toEqual([]);
      expect(await found({ start: `${at(1_000)}`, end: `${at(2_000)}` })).toEqual(['2', '1']);
      expect(await found({ start: '2026-01-25T20:00:02+08:00' })).toEqual(['3', '2']);
      expect(await found({ end: `${at(999)}`, level: 'warn' })).toEqual([]);
    });

    it('by text, whatever its letters, and with no sign for anything', async () => {
      const robot = await addRobot();
      const messages = [
        ...['battery at 50%', 'battery at 500', 'wheel_left', 'wheelXleft', 'C:\\maps\\hall'],
        ...['it\'s "here"', 'ÜBERHITZT am Motor', 'Перегрев', 'plain', '*?[a-z]', "' or 1=1 --"],
      ];
      await send(
        robot,
        messages.map((message) => ({ topic: 't', message })),
      );
      const found = async (q: string) => messagesOf(await list(robot, query({ q }))).sort();
      expect(await found('50%')).toEqual(['battery at 50%']);
      expect(await found('%')).toEqual(['battery at 50%']);
      expect(await found('_')).toEqual(['wheel_left']);
      expect(await found('WHEEL_L')).toEqual(['wheel_left']);
      expect(await found('\\')).toEqual(['C:\\maps\\hall']);
      expect(await found('\\m')).toEqual(['C:\\maps\\hall']);
      expect(await found('überhitzt AM')).toEqual(['ÜBERHITZT am Motor']);
      expect(await found('ПЕРЕ')).toEqual(['Перегрев']);
      expect(await found(`it's "`)).toEqual([`it's "here"`]);
      expect(await found('[a-z]')).toEqual(['*?[a-z]']);
      expect(await found("' or 1=1 --")).toEqual(["' or 1=1 --"]);
      expect(await found('\u0000')).toEqual([]);
      expect(await found('')).toHaveLength(messages.length);
      expectFailure(
        await app().call('GET', pathOf(robot) + query({ q: 'x'.repeat(201) })),
        400,
        /^q: /,
      );
    });

    it('page by page, each once, with a cursor or with the id of the last', async () => {
      const robot = await addRobot();
      const lines = Array.from({ length: 23 }, (_, n) => ({
        ...{ topic: n % 3 === 0 ? 'third' : 'other', message: `${n}` },
        timestamp: at(Math.floor(n / 4)),
      }));
      await send(robot, lines);
      for (const filter of [{}, { topic: 'third' }]) {
        const all = messagesOf(await list(robot, query({ ...filter, limit: '1000' })));
        expect(all.length).toBe('topic' in filter ? 8 : 23);
        const byCursor: string[] = [];
        const byId: string[] = [];
        let cursor: string | null = '';
        while (cursor !== null) {
          const values = { ...filter, limit: '3', ...(cursor && { cursor }) };
          const page = await list(robot, query(values));
          byCursor.push(...messagesOf(page));
          cursor = page.next_cursor;
        }
        for (let before = ''; ; ) {
          const values = { ...filter, limit: '3', ...(before && { before }) };
          const page = await list(robot, query(values));
          byId.push(...messagesOf(page));
          if (page.count === 0) break;
          before = `${page.logs.at(-1).id}`;
        }
        expect(byCursor).toEqual(all);
        expect(byId).toEqual(all);
      }
    });

    it('before a line that is not there or not theirs is nothing', async () => {
      const robot = await addRobot();
      const other = await addRobot();
      await send(robot, [{ topic: 't', message: 'm' }]);
      await send(other, [{ topic: 't', message: 'm' }]);
      const foreign = (await list(other)).logs[0].id;
      expect((await list(robot, `?before=${foreign}`)).count).toBe(0);
      expect((await list(robot, '?before=900000000')).count).toBe(0);
      const path = pathOf(robot);
      expectFailure(await app().call('GET', `${path}?before=1&cursor=1.1`), 400, /^before: /);
      expectFailure(await app().call('GET', `${path}?cursor=x`), 400, /^cursor: /);
      expectFailure(await app().call('GET', `${path}?before=x`), 400, /^before: /);
      expectFailure(await app().call('GET', `${path}?limit=1001`), 400, /^limit: /);
    });

    it('found far back among thousands, and none of what lies further on is looked for twice', async () => {
      const robot = await addRobot();
      for (let batch = 0; batch < 3; batch += 1) {
        const lines = Array.from({ length: 1_000 }, (_, n) => ({
          ...{ topic: 't', message: batch === 0 && n % 400 === 0 ? `needle ${n}` : 'hay' },
          timestamp: at(batch * 1_000 + n),
        }));
        expect((await send(robot, lines)).json.data.stored).toBe(1_000);
      }
      const page = await list(robot, '?q=NEEDLE');
      expect(messagesOf(page)).toEqual(['needle 800', 'needle 400', 'needle 0']);
      expect(page.next_cursor).toBeNull();
      const first = await list(robot, '?q=needle&limit=2');
      expect(messagesOf(first)).toEqual(['needle 800', 'needle 400']);
      const rest = await list(robot, query({ q: 'needle', cursor: first.next_cursor }));
      expect(messagesOf(rest)).toEqual(['needle 0']);
      expect(await list(robot, '?q=nothing')).toMatchObject({ count: 0, next_cursor: null });
    });

    it('fewer at a time when they are large, and none lost', async () => {
      const robot = await addRobot();
      const message = (n: number) => `${n} ${'x'.repeat(65_000)}`;
      for (let n = 0; n < 60; n += 15) {
        const lines = Array.from({ length: 15 }, (_, k) => ({
          topic: 't',
          message: message(n + k),
        }));
        expect((await send(robot, lines)).json.data.stored).toBe(15);
      }
      const first = await list(robot, '?limit=1000');
      expect(first.count).toBeLessThan(60);
      const rest = await list(robot, query({ limit: '1000', cursor: first.next_cursor }));
      expect(first.count + rest.count).toBe(60);
      expect(rest.next_cursor).toBeNull();
    });
  });

  describe('live', () => {
    /** What a subscription delivers, without the first item. */
    function watch(input: object, owner = app().admin) {
      const client = connect(app(), owner.token);
      const seen: { id: string; data: StreamStart | LiveLog }[] = [];
      const subscription = client.logs.live.subscribe(input, {
        onData: ({ id, data }) => void seen.push({ id, data: data as StreamStart | LiveLog }),
      });
      return { seen, stop: () => subscription.unsubscribe() };
    }

    it('are the same on both doors, replayed and as they come, filtered alike', async () => {
      const robot = await addRobot();
      const twin = await addRobot();
      const lines = (tag: string) =>
        ['nav', 'drive'].flatMap((topic) =>
          ['info', 'warn'].map((level) => ({ topic, level, message: `${tag} ${topic} ${level}` })),
        );
      await send(robot, [{ topic: 'nav', level: 'warn', message: 'before' }]);
      const cursor = String((await list(robot)).logs[0].id);
      await send(robot, lines('old'));
      await send(twin, lines('twin'));
      const filters = [
        [{}, 4],
        [{ topic: 'nav' }, 2],
        [{ level: 'warn' }, 2],
        [{ topic: 'nav', level: 'warn' }, 1],
      ] as const;
      const readers = await Promise.all(
        filters.map(async ([filter, count]) => ({
          count,
          sse: await openSse(
            `${app().url}${pathOf(robot)}/subscribe${query({ ...filter, last_event_id: cursor })}`,
            { authorization: `Bearer ${app().admin.token}` },
          ),
          trpc: watch({ robot_ids: [robot], ...filter, lastEventId: cursor }),
        })),
      );
      for (const { sse, count } of readers) await sse.reach(count);
      await send(robot, lines('new'));
      await send(twin, lines('twin'));
      for (const [at, { sse, trpc, count }] of readers.entries()) {
        const events = await sse.reach(2 * count);
        await until('the other door', () => trpc.seen.length === 1 + 2 * count);
        expect(trpc.seen[0]).toEqual({ id: cursor, data: { type: 'start', cursor } });
        expect(trpc.seen.slice(1).map(({ data }) => data)).toEqual(events);
        const ids = sse.blocks.flatMap(({ id, data }) => (data === undefined ? [] : [id]));
        expect(trpc.seen.slice(1).map(({ id }) => id)).toEqual(ids);
        const rows = await list(robot, query({ ...filters[at]![0], limit: '100' }));
        const stored = rows.logs
          .filter(({ message }: LiveLog) => message !== 'before')
          .map((entry: LiveLog) => ({ ...entry, type: 'log' }));
        expect(events).toEqual(stored.sort((a: LiveLog, b: LiveLog) => a.id - b.id));
        trpc.stop();
      }
    });

    it('are those of all robots of the account, and of no other account', async () => {
      const owner = await app().addAccount();
      const stranger = await app().addAccount();
      const mine = [await addRobot(owner), await addRobot(owner)];
      const theirs = await addRobot(stranger);
      const { seen, stop } = watch({}, owner);
      await until('the start', () => seen.length === 1);
      for (const [robot, { token }] of [
        [theirs, stranger],
        [mine[0]!, owner],
        [theirs, stranger],
        [mine[1]!, owner],
      ] as const) {
        const line = { topic: 't', message: 'm' };
        expect((await app().call('POST', pathOf(robot), line, token)).status).toBe(200);
      }
      await until('both lines', () => seen.length === 3);
      expect(seen.slice(1).map(({ data }) => (data as LiveLog).robot_id)).toEqual(mine);
      stop();
    });
  });
});
