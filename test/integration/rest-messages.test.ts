import { EventSource } from 'eventsource';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { createFleetClient } from '../../src/client/index.js';
import { type Account, type Answer, startApp, type TestApp, useApp } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { expectData, expectFailure, INSTANT } from '../support/rest.js';
import { until } from '../support/until.js';

const ODOMETRY = {
  id: 'odometry',
  title: 'Odometry',
  schema: {
    type: 'object',
    properties: { ticks: { type: 'integer' }, wheel: { enum: ['left', 'right'] } },
    required: ['ticks'],
  },
  example: { ticks: 1 },
};
/** Takes any object. */
const ANY = { id: 'any', title: 'Anything', schema: {}, example: {} };
const ROBOT = '/api/v1/robots/r1';
const ODOMETRY_OF = `${ROBOT}/messages/odometry`;

interface Entry {
  id: number;
  payload: unknown;
}

/** An account with a robot and both schemas, in an app that other tests use too. */
async function addOwner(app: TestApp, robotId: string): Promise<Account> {
  const owner = await app.addAccount();
  await app.call('POST', '/api/v1/robots', { robot_id: robotId, robot_type: 'x' }, owner.token);
  for (const schema of [ODOMETRY, ANY]) {
    await app.call('POST', '/api/v1/schemas', schema, owner.token);
  }
  return owner;
}

describeEachDatabase('messages in', (kind) => {
  const app = useApp(kind);
  let owner: Account;
  beforeAll(async () => {
    owner = await addOwner(app(), 'r1');
  });
  const push = (path: string, body: unknown, token = owner.token) =>
    app().call('POST', path, body, token);
  const list = async (search = '', token = owner.token): Promise<Answer> =>
    app().call('GET', `${ROBOT}/messages${search}`, undefined, token);
  const newest = async () => (await list('?limit=1')).json.data.messages[0];

  it('are stored before they are answered', async () => {
    const answer = await push(ODOMETRY_OF, { ticks: 7, more: [1] });
    expectData(answer, { message: 'Message stored', id: expect.any(Number) });
    expect(await newest()).toEqual({
      id: answer.json.data.id,
      robot_id: 'r1',
      schema_id: 'odometry',
      payload: { ticks: 7, more: [1] },
      timestamp: INSTANT,
      received_at: INSTANT,
    });
  });

  it('are kept to the letter', async () => {
    const body = '{ "ticks": 12345678901234567890, "b": 1.0, "a": "\\u0041\\u0000" }';
    expect((await push(ODOMETRY_OF, body)).status).toBe(200);
    expect((await list('?limit=1')).text).toContain(`"payload":${body}}`);
  });

  it('may bear a time of their own, and an id that makes repeats harmless', async () => {
    const before = (await list()).json.data.count;
    const path = `${ODOMETRY_OF}?timestamp=2026-01-25T20:00:00%2B08:00&event_id=e1`;
    const first = await push(path, { ticks: 1 });
    expect(first.json.data).toEqual({ message: 'Message stored', id: expect.any(Number) });
    for (const body of [{ ticks: 1 }, { ticks: 2 }]) {
      expectData(await push(path, body), { message: 'Message stored' });
    }
    const { messages, count } = (await list()).json.data;
    expect(count).toBe(before + 1);
    expect(messages.at(-1)).toMatchObject({
      payload: { ticks: 1 },
      timestamp: '2026-01-25T12:00:00.000Z',
    });
    expect((await push(ODOMETRY_OF, { ticks: 3 })).json.data.id).toBeGreaterThan(
      first.json.data.id,
    );
  });

  it('are refused when they do not fit, and not stored', async () => {
    const before = (await newest()).id;
    const refusals = [
      [{}, '', /must have required property 'ticks'/],
      [{ ticks: '1' }, 'ticks', /must be integer/],
      [{ ticks: 1, wheel: 'middle' }, 'wheel', /must be one of "left", "right"/],
    ] as const;
    for (const [body, path, sentence] of refusals) {
      const answer = await push(ODOMETRY_OF, body);
      expectFailure(answer, 400, sentence);
      expect(answer.json.error).toMatch(/^The message does not fit the schema odometry: /);
      expect(answer.json.issues).toEqual([{ path, message: expect.stringMatching(sentence) }]);
    }
    for (const body of ['[]', '1', 'null', '"x"']) {
      expectFailure(await push(ODOMETRY_OF, body), 400, 'The message must be a JSON object');
    }
    const deep = `${'{"a":'.repeat(501)}1${'}'.repeat(501)}`;
    expectFailure(await push(`${ROBOT}/messages/any`, deep), 400, /nested deeper than 500 levels/);
    expect((await newest()).id).toBe(before);
  });

  it('are judged in a moment, whatever the pattern', async () => {
    const schema = { properties: { a: { type: 'string', pattern: '^(a+)+$' } } };
    const slow = { id: 'slow', title: 'Slow elsewhere', schema, example: { a: 'aaa' } };
    expect((await app().call('POST', '/api/v1/schemas', slow, owner.token)).status).toBe(200);
    const startedMs = performance.now();
    const answer = await push(`${ROBOT}/messages/slow`, { a: `${'a'.repeat(10_000)}b` });
    expectFailure(answer, 400, /must match pattern/);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });

  it.each([
    ['?timestamp=yesterday', /^timestamp: must be RFC 3339/],
    ['?timestamp=1769342400', /^timestamp: .*looks like seconds/],
    ['?timestamp=2999-01-01T00:00:00Z', /^timestamp: lies more than 5 minutes in the future/],
    ['?event_id=', /^event_id: /],
    [`?event_id=${'x'.repeat(129)}`, /^event_id: /],
  ])('are refused with %.40s', async (search, sentence) => {
    expectFailure(await push(ODOMETRY_OF + search, { ticks: 1 }), 400, sentence);
  });

  it('need a schema, of their own account', async () => {
    expectFailure(await push(`${ROBOT}/messages/nothing`, {}), 404, 'Schema not found');
    expectFailure(
      await push(`${ROBOT}/messages/robot_status`, { status: {} }),
      404,
      'Schema not found',
    );
    expectFailure(await push(`${ROBOT}/messages/A%20b`, {}), 400, /^schema: /);
    const other = await app().addAccount();
    await app().call('POST', '/api/v1/robots', { robot_id: 'r2', robot_type: 'x' }, other.token);
    expectFailure(
      await push('/api/v1/robots/r2/messages/odometry', { ticks: 1 }, other.token),
      404,
      'Schema not found',
    );
    for (const answer of [
      await push(ODOMETRY_OF, { ticks: 1 }, other.token),
      await list('', other.token),
    ]) {
      expectFailure(answer, 403, 'Access denied');
    }
  });

  it("come with a robot's own key, for that robot, which reads none", async () => {
    const key = { name: 'r1', robot_id: 'r1' };
    const { json } = await app().call('POST', '/api/v1/keys', key, owner.token);
    const robot = json.data.key;
    expect((await push(ODOMETRY_OF, { ticks: 1 }, robot)).status).toBe(200);
    expectFailure(await list('', robot), 403, 'This key lacks the scope messages:read');
    await app().call('POST', '/api/v1/robots', { robot_id: 'r3', robot_type: 'x' }, owner.token);
    const foreign = await push('/api/v1/robots/r3/messages/odometry', { ticks: 1 }, robot);
    expectFailure(foreign, 403, 'Access denied');
    for (const [method, path] of [
      ['POST', '/api/v1/schemas'],
      ['PUT', '/api/v1/schemas/odometry'],
      ['DELETE', '/api/v1/schemas/odometry'],
    ] as const) {
      const answer = await app().call(method, path, ODOMETRY, robot);
      expectFailure(answer, 403, 'This key lacks the scope schemas:write');
    }
  });

  it('are judged by the schema as it is, and outlive it', async () => {
    const path = '/api/v1/schemas/passing';
    await app().call('POST', '/api/v1/schemas', { ...ANY, id: 'passing' }, owner.token);
    const stored = (await push(`${ROBOT}/messages/passing`, { a: 1 })).json.data.id;
    const stricter = { schema: { required: ['b'] }, example: { b: 1 } };
    await app().call('PUT', path, stricter, owner.token);
    expectFailure(await push(`${ROBOT}/messages/passing`, { a: 1 }), 400, /property 'b'/);
    await app().call('DELETE', path, undefined, owner.token);
    expectFailure(await push(`${ROBOT}/messages/passing`, { b: 1 }), 404, 'Schema not found');
    const { messages } = (await list('?schema=passing')).json.data;
    expect(messages).toMatchObject([{ id: stored, payload: { a: 1 } }]);
  });

  it('mark their robot as present', async () => {
    await push(ODOMETRY_OF, { ticks: 1 });
    const { json } = await app().call('GET', ROBOT, undefined, owner.token);
    expect(json.data).toMatchObject({ presence: 'online', last_seen_at: INSTANT });
  });
});

describeEachDatabase('messages out', (kind) => {
  const app = useApp(kind);
  let owner: Account;
  const START_MS = 1_769_342_400_000;
  beforeAll(async () => {
    owner = await addOwner(app(), 'r1');
    // Recorded in another order than they arrive in, two of them at the same time.
    for (const [n, second] of [3, 1, 2, 2, 5, 4].entries()) {
      const schema = n % 2 === 0 ? 'any' : 'odometry';
      const path = `${ROBOT}/messages/${schema}?timestamp=${START_MS + second * 1_000}`;
      await app().call('POST', path, { ticks: n }, owner.token);
    }
  });
  const page = (search: string) =>
    app().call('GET', `${ROBOT}/messages${search}`, undefined, owner.token);
  const ticks = ({ json }: Answer): number[] =>
    json.data.messages.map(({ payload }: { payload: { ticks: number } }) => payload.ticks);

  it('are the newest first, all of them or those that are asked for', async () => {
    const all = await page('');
    expect(ticks(all)).toEqual([4, 5, 0, 3, 2, 1]);
    expect(all.json.data).toMatchObject({ robot_id: 'r1', count: 6, next_cursor: null });
    expect(ticks(await page('?schema=odometry'))).toEqual([5, 3, 1]);
    expect(ticks(await page('?schema=nothing'))).toEqual([]);
    const [start, end] = [START_MS + 2_000, START_MS + 4_000];
    expect(ticks(await page(`?start=${start}&end=${end}`))).toEqual([5, 0, 3, 2]);
    expect(ticks(await page(`?start=${start}`))).toEqual([4, 5, 0, 3, 2]);
    expect(ticks(await page(`?end=${end}&schema=any`))).toEqual([0, 2]);
  });

  it.each(['', '&schema=any', `&start=${START_MS + 2_000}&end=${START_MS + 4_000}`])(
    'come in pages, with %j too',
    async (filter) => {
      const whole = ticks(await page(`?limit=1000${filter}`));
      const seen: number[] = [];
      let cursor: string | null = null;
      do {
        const answer = await page(`?limit=2${filter}${cursor ? `&cursor=${cursor}` : ''}`);
        seen.push(...ticks(answer));
        cursor = answer.json.data.next_cursor;
      } while (cursor !== null);
      expect(seen).toEqual(whole);
      expect(whole.length).toBeGreaterThan(2);
    },
  );

  it('come in shorter pages when they are large', async () => {
    const large = { pad: 'x'.repeat(900_000) };
    for (let n = 0; n < 7; n += 1) {
      await app().call('POST', `${ROBOT}/messages/any`, { ...large, n }, owner.token);
    }
    const first = await page('?limit=100');
    expect(first.json.data.count).toBeLessThan(7);
    expect(first.json.data.next_cursor).toEqual(expect.any(String));
    const seen: number[] = [];
    let cursor = '';
    while (seen.length < 7) {
      const { json } = await page(`?limit=7${cursor}`);
      seen.push(...json.data.messages.map(({ payload }: { payload: { n: number } }) => payload.n));
      cursor = `&cursor=${json.data.next_cursor}`;
    }
    expect(seen.slice(0, 7)).toEqual([6, 5, 4, 3, 2, 1, 0]);
  });

  it.each([
    '?limit=0',
    '?limit=1001',
    '?limit=x',
    '?cursor=x',
    '?cursor=1.2.3',
    '?cursor=1',
    '?schema=A',
  ])('are refused with %s', async (search) =>
    expectFailure(await page(search), 400, /^(limit|cursor|schema): /),
  );
});

describeEachDatabase('messages over tRPC', (kind) => {
  const app = useApp(kind);

  it('are what they are over REST', async () => {
    const owner = await app().addAccount();
    const client = createFleetClient({ url: app().url, token: owner.token });
    onTestFinished(() => client.close());
    const created = await client.messageSchemas.create.mutate(ODOMETRY);
    expect(created).toMatchObject({ ...ODOMETRY, created_at: INSTANT, updated_at: INSTANT });
    const title = 'Wheels';
    expect(await client.messageSchemas.update.mutate({ schema_id: 'odometry', title })).toEqual({
      ...created,
      title,
      updated_at: INSTANT,
    });
    const { schemas } = await client.schemas.list.query();
    expect(schemas.filter(({ built_in }) => !built_in)).toMatchObject([{ id: 'odometry', title }]);
    expect(await client.schemas.get.query({ schema_id: 'odometry' })).toEqual({
      ...ODOMETRY.schema,
      title,
      example: ODOMETRY.example,
    });

    const robot_id = 'trpc';
    await client.robots.register.mutate({ robot_id, robot_type: 'x' });
    const message = { robot_id, schema_id: 'odometry', payload: { ticks: 5 } };
    const timestamp = '2026-01-25T20:00:00+08:00';
    const stored = await client.messages.push.mutate({ ...message, timestamp, event_id: 'e' });
    expect(stored).toEqual({ message: 'Message stored', id: expect.any(Number) });
    expect(await client.messages.push.mutate({ ...message, event_id: 'e' })).toEqual({
      message: 'Message stored',
    });
    await expect(
      client.messages.push.mutate({ ...message, payload: { ticks: 'x' } }),
    ).rejects.toMatchObject({
      data: { reason: 'invalid_input', issues: [{ path: 'ticks', message: 'must be integer' }] },
    });
    expect(await client.messages.list.query({ robot_id })).toEqual({
      robot_id,
      count: 1,
      messages: [
        {
          ...message,
          id: stored.id,
          timestamp: '2026-01-25T12:00:00.000Z',
          received_at: INSTANT,
        },
      ],
      next_cursor: null,
    });
    expect(await client.messageSchemas.delete.mutate({ schema_id: 'odometry' })).toEqual({
      message: 'Schema deleted successfully',
      schema_id: 'odometry',
    });
    await expect(client.messages.push.mutate(message)).rejects.toMatchObject({
      data: { reason: 'not_found' },
    });
  });
});

describeEachDatabase('messages live', (kind) => {
  const app = useApp(kind);

  /** A browser's event source on the messages of a robot, and what it has seen. */
  function watch(robotId: string, token: string, search = '') {
    const url = `${app().url}/api/v1/robots/${robotId}/messages/subscribe?token=${token}${search}`;
    const source = new EventSource(url);
    onTestFinished(() => source.close());
    const seen: Entry[] = [];
    const ids: string[] = [];
    const state = { open: false };
    source.addEventListener('open', () => {
      state.open = true;
    });
    source.addEventListener('message', ({ data, lastEventId }) => {
      seen.push(JSON.parse(data));
      ids.push(lastEventId);
    });
    return { source, seen, ids, state };
  }

  it('reach those who watch the robot, over SSE and tRPC, and nobody else', async () => {
    const owner = await addOwner(app(), 'live');
    const stranger = await addOwner(app(), 'strange');
    await app().call('POST', '/api/v1/robots', { robot_id: 'other', robot_type: 'x' }, owner.token);
    const client = createFleetClient({ url: app().url, token: owner.token });
    onTestFinished(() => client.close());
    const overTrpc: unknown[] = [];
    const subscription = client.messages.live.subscribe(
      { robot_ids: ['live'] },
      { onData: ({ data }) => void overTrpc.push(data) },
    );
    onTestFinished(() => subscription.unsubscribe());
    const [all, odometry] = [
      watch('live', owner.token),
      watch('live', owner.token, '&schema=odometry'),
    ];
    await until(
      'the streams',
      () => all.state.open && odometry.state.open && overTrpc.length === 1,
    );
    expect(overTrpc[0]).toEqual({ type: 'start', cursor: expect.any(String) });

    const push = (robot: string, schema: string, body: object, token = owner.token) =>
      app().call('POST', `/api/v1/robots/${robot}/messages/${schema}`, body, token);
    await push('strange', 'any', { n: 0 }, stranger.token);
    await push('other', 'any', { n: 1 });
    await push('live', 'any', { n: 2 });
    const { id } = (await push('live', 'odometry', { ticks: 3 })).json.data;
    await until('the messages', () => all.seen.length === 2 && odometry.seen.length === 1);
    expect(odometry.seen[0]).toEqual({
      type: 'message',
      id,
      robot_id: 'live',
      schema_id: 'odometry',
      payload: { ticks: 3 },
      timestamp: INSTANT,
      received_at: INSTANT,
    });
    expect(all.seen.map(({ payload }) => payload)).toEqual([{ n: 2 }, { ticks: 3 }]);
    expect(all.ids.at(-1)).toBe(String(id));
    await until('the same over tRPC', () => overTrpc.length === 3);
    expect(overTrpc.slice(1)).toEqual(all.seen);
  });

  it('are all there for those who come back', async () => {
    const owner = await addOwner(app(), 'back');
    const path = '/api/v1/robots/back/messages/any';
    const first = watch('back', owner.token);
    await until('the stream', () => first.state.open);
    await app().call('POST', path, { n: 0 }, owner.token);
    await until('the first message', () => first.seen.length === 1);
    first.source.close();
    await Promise.all(
      Array.from({ length: 250 }, (_, n) => app().call('POST', path, { n: n + 1 }, owner.token)),
    );
    const again = watch('back', owner.token, `&last_event_id=${first.ids[0]}`);
    await until('the rest', () => again.seen.length === 250);
    await app().call('POST', path, { n: 251 }, owner.token);
    await until('what comes then', () => again.seen.length === 251);
    const { json } = await app().call(
      'GET',
      '/api/v1/robots/back/messages?limit=1000',
      undefined,
      owner.token,
    );
    const stored = json.data.messages
      .map(({ id }: Entry) => id)
      .sort((a: number, b: number) => a - b);
    expect([...first.seen, ...again.seen].map(({ id }) => id)).toEqual(stored);
  });

  it('are refused to strangers, and for robots that are not there', async () => {
    await addOwner(app(), 'mine');
    const stranger = await app().addAccount();
    const subscribe = (robot: string, token: string | null) =>
      app().call('GET', `/api/v1/robots/${robot}/messages/subscribe`, undefined, token);
    expectFailure(await subscribe('mine', null), 401, 'Invalid certification key');
    expectFailure(await subscribe('mine', stranger.token), 403, 'Access denied');
    expectFailure(await subscribe('nobody', stranger.token), 404, 'Robot not found');
  });
});

describeEachDatabase('messages and the end of the server', (kind) => {
  it('outlive it, and so do their schemas', async () => {
    const database = await kind.create();
    onTestFinished(database.dispose);
    const first = await startApp(database);
    for (const schema of [ODOMETRY, ANY]) await first.call('POST', '/api/v1/schemas', schema);
    await first.call('POST', '/api/v1/robots', { robot_id: 'r1', robot_type: 'x' });
    expect((await first.call('POST', ODOMETRY_OF, { ticks: 1 })).status).toBe(200);
    await first.close();
    const second = await startApp(database);
    expect((await second.call('POST', ODOMETRY_OF, { ticks: 2 })).status).toBe(200);
    const { json } = await second.call('GET', `${ROBOT}/messages`);
    expect(json.data.messages.map(({ payload }: Entry) => payload)).toEqual([
      { ticks: 2 },
      { ticks: 1 },
    ]);
  });
});
