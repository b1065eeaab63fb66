import { createTRPCClient, httpLink } from '@trpc/client';
import { expect, it, onTestFinished } from 'vitest';
import type { AuditEntry } from '../../src/contract/audit.js';
import type { Db } from '../../src/db/client.js';
import { createLogger } from '../../src/lib/logger.js';
import type { AppRouter } from '../../src/routers/index.js';
import { type AuditEvent, createAudit } from '../../src/services/audit.js';
import { createRetention } from '../../src/services/retention.js';
import { type Account, startApp, type TestApp, useApp } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import {
  createLogBook,
  createStoppedClock,
  useDatabase,
  watchQueries,
} from '../support/identity.js';
import { expectFailure, INSTANT } from '../support/rest.js';
import { until } from '../support/until.js';

const DAY_MS = 86_400_000;
const PASSWORD = 'a good password';

/** The procedures over tRPC, as whoever has `token`. */
function connect({ url }: TestApp, token?: string) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return createTRPCClient<AppRouter>({ links: [httpLink({ url: `${url}/trpc`, headers })] });
}

async function entriesOf(app: TestApp, account: Account, search = ''): Promise<AuditEntry[]> {
  const answer = await app.call(
    'GET',
    `/api/v1/audit?limit=1000${search}`,
    undefined,
    account.token,
  );
  expect(answer.status).toBe(200);
  expect(answer.json.data.count).toBe(answer.json.data.entries.length);
  return answer.json.data.entries;
}

describeEachDatabase('what the audit keeps', (kind) => {
  const app = useApp(kind, {
    config: { features: { registration_enabled: true, email_verification_required: false } },
  });
  let accounts = 0;

  async function owner() {
    const email = `audited-${++accounts}@example.com`;
    return { ...(await app().addAccount(email)), email };
  }

  /** What `work` added to the log of an account, oldest first. */
  async function added(account: Account, work: () => Promise<unknown>, count = 1) {
    const before = (await entriesOf(app(), account))[0]?.id ?? 0;
    await work();
    const entries = await until(`${count} entries`, async () => {
      const all = await entriesOf(app(), account);
      const news = all.filter(({ id }) => id > before);
      return news.length >= count && news.toReversed();
    });
    expect(entries).toHaveLength(count);
    return entries;
  }

  it('is one entry for each login, registration, and change of robots and keys, through either door', async () => {
    for (const door of ['rest', 'trpc'] as const) {
      const { token, email, account_id, principal } = await owner();
      const account = { token, account_id, principal };
      const robot_id = `robot-${door}`;
      const client = connect(app(), token);
      const call = (method: string, path: string, body?: unknown) =>
        app()
          .call(method, `/api/v1${path}`, body, token)
          .then(({ json }) => json.data);
      const credentials = { username: email, password: PASSWORD };
      const rest = door === 'rest';
      const expected = {
        ...{ actor_kind: 'account', actor_id: account_id, outcome: 'ok', door, ip: '127.0.0.1' },
        ...{ robot_id: null, subject_id: null, details: null },
        ...{ id: expect.any(Number), created_at: INSTANT },
      };
      const one = async (work: () => Promise<unknown>, entry: object) =>
        expect(await added(account, work)).toEqual([{ ...expected, ...entry }]);

      await one(
        () =>
          rest ? call('POST', '/auth/login', credentials) : client.auth.login.mutate(credentials),
        { action: 'auth.login', subject_id: account_id },
      );

      const robot = { robot_id, robot_type: 'rover', robot_name: 'R', presence_timeout_ms: 5_000 };
      await one(
        () => (rest ? call('POST', '/robots', robot) : client.robots.register.mutate(robot)),
        {
          ...{ action: 'robot.register', robot_id, subject_id: robot_id },
          details: { robot_type: 'rover', robot_name: 'R', presence_timeout_ms: 5_000 },
        },
      );
      const path = `/robots/${robot_id}`;
      const change = { robot_type: 'drone' };
      await one(
        () =>
          rest ? call('PUT', path, change) : client.robots.update.mutate({ robot_id, ...change }),
        { action: 'robot.update', robot_id, subject_id: robot_id, details: change },
      );

      const wanted = { name: 'of the robot', robot_id };
      let key = { id: '' };
      const [created] = await added(account, async () => {
        key = rest ? await call('POST', '/keys', wanted) : await client.keys.create.mutate(wanted);
      });
      expect(created).toEqual({
        ...{ ...expected, action: 'key.create', robot_id, subject_id: key.id },
        details: { name: 'of the robot' },
      });
      const turn = { overlap_seconds: 60 };
      await one(
        () =>
          rest
            ? call('POST', `/keys/${key.id}/rotate`, turn)
            : client.keys.rotate.mutate({ key_id: key.id, ...turn }),
        { action: 'key.rotate', robot_id, subject_id: key.id, details: turn },
      );
      await one(
        () =>
          rest ? call('DELETE', `/keys/${key.id}`) : client.keys.revoke.mutate({ key_id: key.id }),
        { action: 'key.revoke', robot_id, subject_id: key.id },
      );
      const sure = { confirm: robot_id };
      await one(
        () =>
          rest ? call('DELETE', path, sure) : client.robots.delete.mutate({ robot_id, ...sure }),
        { action: 'robot.delete', robot_id, subject_id: robot_id },
      );

      const newcomer = { email: `newcomer-${door}@example.com`, password: PASSWORD };
      const made = rest
        ? await call('POST', '/auth/register', newcomer)
        : await connect(app()).auth.register.mutate(newcomer);
      const own = await app().call('GET', '/api/v1/audit', undefined, made.certification_key);
      expect(own.json.data.entries).toEqual([
        {
          ...{ ...expected, action: 'auth.register' },
          ...{ actor_id: made.account_id, subject_id: made.account_id },
        },
      ]);
    }
  });

  it('is one entry for each refusal, with its code, whoever was refused', async () => {
    for (const door of ['rest', 'trpc'] as const) {
      const account = await owner();
      const stranger = await owner();
      const foreign = `foreign-${door}`;
      const robot = { robot_id: foreign, robot_type: 'x' };
      await app().call('POST', '/api/v1/robots', robot, stranger.token);
      const made = await app().call(
        ...(['POST', '/api/v1/keys', { name: 'narrow', scopes: ['status:read'] }] as const),
        account.token,
      );
      const narrow = made.json.data;
      const rest = door === 'rest';
      const base = { door, ip: '127.0.0.1', robot_id: null, subject_id: null };
      const byAccount = { ...base, actor_kind: 'account', actor_id: account.account_id };
      const quiet = async (work: Promise<unknown>) => {
        await work.catch(() => {});
      };
      const call = (method: string, path: string, body?: unknown, token = account.token) =>
        quiet(app().call(method, `/api/v1${path}`, body, token));
      const client = connect(app(), account.token);
      const one = async (work: () => Promise<unknown>, entry: object) =>
        expect(await added(account, work)).toMatchObject([entry]);

      const change = { robot_id: foreign, robot_type: 'y' };
      await one(
        () =>
          rest
            ? call('PUT', `/robots/${foreign}`, change)
            : quiet(client.robots.update.mutate(change)),
        {
          ...byAccount,
          action: 'robot.update',
          robot_id: foreign,
          subject_id: foreign,
          outcome: 'forbidden',
        },
      );
      await one(
        () =>
          rest
            ? call('DELETE', '/keys/none')
            : quiet(client.keys.revoke.mutate({ key_id: 'none' })),
        { ...byAccount, action: 'key.revoke', subject_id: 'none', outcome: 'not_found' },
      );
      await one(
        () => (rest ? call('POST', '/robots', robot) : quiet(client.robots.register.mutate(robot))),
        {
          ...byAccount,
          action: 'robot.register',
          robot_id: foreign,
          subject_id: foreign,
          outcome: 'conflict',
        },
      );
      const change2 = { robot_id: 'mine', robot_name: 'z' };
      await one(
        () =>
          rest
            ? call('PUT', '/robots/mine', change2, narrow.key)
            : quiet(connect(app(), narrow.key).robots.update.mutate(change2)),
        {
          ...{ ...base, actor_kind: 'api_key', actor_id: narrow.id },
          ...{ robot_id: 'mine', subject_id: 'mine' },
          ...{ action: 'robot.update', outcome: 'forbidden' },
        },
      );
      const wrong = { username: account.email.toUpperCase(), password: 'not the password' };
      await one(
        () => (rest ? call('POST', '/auth/login', wrong) : quiet(client.auth.login.mutate(wrong))),
        {
          ...{ ...base, actor_kind: 'anonymous', actor_id: null, subject_id: account.account_id },
          ...{ action: 'auth.login', outcome: 'unauthenticated', details: null },
        },
      );
      // What the stranger's robot was asked for is no business of the stranger's log.
      expect(await entriesOf(app(), stranger)).toHaveLength(1);
    }
  });

  it("is in the operator's log, without a name, when somebody tries a name that nobody has", async () => {
    const wrong = { username: 'a-private-name@example.com', password: 'secret-guess' };
    const [entry] = await added(app().admin, () =>
      app().call('POST', '/api/v1/auth/login', wrong, null),
    );
    expect(entry).toMatchObject({
      ...{ action: 'auth.login', actor_kind: 'anonymous', actor_id: null, subject_id: null },
      ...{ robot_id: null, details: null, outcome: 'unauthenticated' },
    });
    const all = JSON.stringify(await entriesOf(app(), app().admin));
    expect(all).not.toContain('a-private-name');
  });

  it('has nothing of calls that are none, of reading, and of telemetry', async () => {
    const account = await owner();
    const { token } = account;
    const [first] = await added(account, () =>
      app().call('POST', '/api/v1/robots', { robot_id: 'quiet', robot_type: 'x' }, token),
    );
    const calls = [
      ['POST', '/robots', {}],
      ['POST', '/robots', { robot_id: 'a/b', robot_type: 'x' }],
      ['PUT', '/robots/quiet', { presence_timeout_ms: 'soon' }],
      ['POST', '/keys', { scopes: ['everything'], name: 'x' }],
      ['GET', '/robots', undefined],
      ['GET', '/keys', undefined],
      ['POST', '/robots/quiet/status', { status: {} }],
      ['POST', '/robots/quiet/logs', { topic: 't', message: 'm' }],
    ] as const;
    for (const [method, path, body] of calls) {
      await app().call(method, `/api/v1${path}`, body, token);
    }
    const client = connect(app(), token);
    await expect(client.robots.update.mutate({ robot_id: '' })).rejects.toThrow('robot_id');
    await client.robots.list.query();
    // Once this later refusal is there, nothing before it can still be on its way.
    const [last] = await added(account, () =>
      app().call('DELETE', '/api/v1/keys/none', undefined, token),
    );
    expect(last?.action).toBe('key.revoke');
    expect(await entriesOf(app(), account)).toEqual([last, first]);
  });

  it('stays short under a flood of logins, also of those that were refused unheard', async () => {
    const flooded = await startApp(kind, {
      config: { features: { rate_limiting_enabled: true }, limits: { logins_per_minute: 3 } },
    });
    const before = (await entriesOf(flooded, flooded.admin)).length;
    for (let n = 0; n < 20; n += 1) {
      const guess = { username: `guess-${n}@example.com`, password: 'x' };
      await flooded.call('POST', '/api/v1/auth/login', guess, null);
    }
    const flood = await until('the counts', async () => {
      const news = (await entriesOf(flooded, flooded.admin)).slice(0, -before || undefined);
      const counted = news.reduce((sum, { details }) => sum + Number(details?.count ?? 1), 0);
      return counted === 20 && news;
    });
    // A minute may end meanwhile, and then each is there twice.
    expect(flood.length).toBeLessThanOrEqual(4);
    expect(new Set(flood.map(({ outcome }) => outcome))).toEqual(
      new Set(['rate_limited', 'unauthenticated']),
    );
  });

  it('has the address that a trusted proxy tells', async () => {
    const behind = await startApp(kind, { config: { server: { trusted_proxies: ['loopback'] } } });
    await fetch(`${behind.url}/api/v1/robots`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${behind.admin.token}`,
        'x-forwarded-for': '2001:db8::7',
        'content-type': 'application/json',
      },
      body: JSON.stringify({ robot_id: 'r', robot_type: 'x' }),
    });
    expect((await entriesOf(behind, behind.admin))[0]).toMatchObject({ ip: '2001:db8::7' });
  });
});

describeEachDatabase('reading the audit', (kind) => {
  const app = useApp(kind);

  it('comes in pages, newest first, by action, robot, actor and time, of the own account alone', async () => {
    const [mine, other] = [await app().addAccount(), await app().addAccount()];
    const post = (path: string, body: unknown, token: string) =>
      app().call('POST', `/api/v1${path}`, body, token);
    for (let n = 0; n < 7; n += 1) {
      await post('/robots', { robot_id: `m${n}`, robot_type: 'x' }, mine.token);
      await post('/robots', { robot_id: `o${n}`, robot_type: 'x' }, other.token);
    }
    const key = (await post('/keys', { name: 'k' }, mine.token)).json.data;
    await post('/robots', { robot_id: 'm0', robot_type: 'x' }, key.key);
    const all = await entriesOf(app(), mine);
    expect(all).toHaveLength(9);
    expect(all.map(({ id }) => id)).toEqual(all.map(({ id }) => id).toSorted((a, b) => b - a));
    expect(new Set(all.map(({ robot_id }) => robot_id))).toEqual(
      new Set([null, ...[0, 1, 2, 3, 4, 5, 6].map((n) => `m${n}`)]),
    );

    const client = connect(app(), mine.token);
    const paged: AuditEntry[] = [];
    let cursor: string | null = null;
    let pages = 0;
    do {
      const page: Awaited<ReturnType<typeof client.audit.list.query>> =
        await client.audit.list.query({ limit: 4, cursor });
      expect(page.count).toBe(page.entries.length);
      paged.push(...page.entries);
      cursor = page.next_cursor;
      pages += 1;
    } while (cursor !== null);
    expect(paged).toEqual(all);
    expect(pages).toBe(3);
    const second = await app().call(
      'GET',
      `/api/v1/audit?limit=4&cursor=${all[3]!.id}`,
      undefined,
      mine.token,
    );
    expect(second.json.data).toEqual({
      ...{ entries: all.slice(4, 8), count: 4, next_cursor: String(all[7]!.id) },
    });

    const search = async (query: string) => entriesOf(app(), mine, query);
    expect(await search('&action=key.create')).toMatchObject([{ subject_id: key.id }]);
    expect(await search('&robot_id=m0')).toMatchObject([
      { actor_kind: 'api_key' },
      { actor_kind: 'account' },
    ]);
    expect(await search(`&actor_id=${key.id}&robot_id=m0`)).toMatchObject([{ actor_id: key.id }]);
    expect(await search('&actor_id=nobody')).toEqual([]);
    expect(await search('&action=&robot_id=&start=')).toEqual(all);
    const third = all[6]!.created_at;
    const from = all.filter(({ created_at }) => created_at >= third);
    const until = all.filter(({ created_at }) => created_at <= third);
    expect(await search(`&start=${third}`)).toEqual(from);
    expect(await search(`&end=${third}`)).toEqual(until);
    expect(await client.audit.list.query({ start: third, limit: 1_000 })).toMatchObject({
      entries: from,
    });
    expect(await search('&end=1980-01-01T00:00:00Z')).toEqual([]);
  });

  it('comes whole as CSV that says the same, and that no spreadsheet executes', async () => {
    const account = await app().addAccount();
    const odd = ['=1+1', '+1', '-1', '@sum', 'a "quoted", id', 'ünïcode', 'plain'];
    for (const robot_id of odd) {
      const robot = { robot_id, robot_type: '=cmd', robot_name: 'two\nlines, "x"' };
      await app().call('POST', '/api/v1/robots', robot, account.token);
    }
    // More than a page in memory.
    for (let n = 0; n < 60; n += 1) {
      await Promise.all(
        Array.from({ length: 20 }, () => app().app.services.audit.record(loginOf(account))),
      );
    }
    const all: AuditEntry[] = [];
    const client = connect(app(), account.token);
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: Awaited<ReturnType<typeof client.audit.list.query>> =
        await client.audit.list.query({ limit: 1_000, ...(cursor && { cursor }) });
      all.push(...page.entries);
      cursor = page.next_cursor;
    }
    expect(all).toHaveLength(1_207);
    const get = (search: string) =>
      app().call('GET', `/api/v1/audit/export${search}`, undefined, account.token);
    const answer = await get('');
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="audit.csv"');
    const [header, ...lines] = parseCsv(answer.text);
    expect(header).toEqual(Object.keys(all[0]!));
    const guarded = (value: unknown) => {
      const text =
        value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : `${value}`;
      return /^[=+\-@]/.test(text) ? `'${text}` : text;
    };
    expect(lines).toEqual(all.map((entry) => Object.values(entry).map(guarded)));
    expect(lines.flat().filter((cell) => /^[=+\-@]/.test(cell))).toEqual([]);
    expect(lines.flat()).toContain("'=1+1");

    const some = parseCsv((await get('?action=robot.register&robot_id=plain')).text);
    expect(some).toHaveLength(2);
    expect(parseCsv((await get('?robot_id=nobody')).text)).toEqual([header]);
    const head = await app().call('HEAD', '/api/v1/audit/export', undefined, account.token);
    expect([head.status, head.text]).toEqual([200, '']);
    expectFailure(await get('?start=x'), 400);
    expectFailure(await app().call('GET', '/api/v1/audit/export', undefined, null), 401);
  });

  it('refuses what makes no sense, and those who may not', async () => {
    const { admin } = app();
    const get = (search: string, token = admin.token) =>
      app().call('GET', `/api/v1/audit${search}`, undefined, token);
    expectFailure(await get('?cursor=x'), 400, 'cursor: is not one that this server gave out');
    for (const search of ['?limit=0', '?limit=1001', '?limit=x', '?start=yesterday']) {
      expectFailure(await get(search), 400);
    }
    const scopes = ['robots:read'];
    const { json } = await app().call('POST', '/api/v1/keys', { name: 'narrow', scopes });
    expectFailure(await get('', json.data.key), 403, 'This key lacks the scope audit:read');
    expectFailure(await get('', 'wrong'), 401);
  });
});

function loginOf({ account_id }: Account): AuditEvent {
  return {
    ...{ principal: null, action: 'auth.login', robot_id: null, subject_id: account_id },
    ...{ door: 'rest', ip: '192.0.2.1', outcome: 'ok', details: null },
  };
}

/** RFC 4180, to the letter. */
function parseCsv(text: string): string[][] {
  expect(text.endsWith('\r\n')).toBe(true);
  const records: string[][] = [[]];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y;
  while (cell.lastIndex < text.length) {
    const at = cell.lastIndex;
    const match = cell.exec(text);
    if (!match) throw new Error(`No CSV at ${at}: ${text.slice(at, at + 80)}`);
    records.at(-1)?.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] === '\r\n') records.push([]);
  }
  return records.slice(0, -1);
}

describeEachDatabase('the keeping of the audit', (kind) => {
  const database = useDatabase(kind);

  async function start(over: { db?: Db; repeats?: { perCaller: number; total: number } } = {}) {
    const db = database();
    await db.deleteFrom('audit_entries').execute();
    const clock = createStoppedClock();
    const { log, lines } = createLogBook();
    const accountIdOf = async (name: string) => (name === 'ann' ? 'ACC-ANN' : undefined);
    const audit = createAudit({ db, clock, log, accountIdOf, ...over });
    onTestFinished(audit.close);
    const rows = () => db.selectFrom('audit_entries').selectAll().orderBy('id').execute();
    return { audit, clock, lines, rows };
  }
  const login = (event: Partial<AuditEvent>): AuditEvent => ({
    ...{ principal: null, action: 'auth.login', robot_id: null, subject_id: null },
    ...{ door: 'rest', ip: '192.0.2.1', outcome: 'unauthenticated', details: null },
    ...event,
  });

  it('has stored what was done when it says so, in the order it was told', async () => {
    const { audit, rows } = await start();
    const done = Array.from({ length: 1_200 }, (_, n) =>
      audit.record(login({ outcome: 'ok', subject_id: `ACC-${n}` })),
    );
    await done[0];
    expect((await rows()).length).toBeGreaterThan(0);
    await Promise.all(done);
    expect((await rows()).map(({ account_id }) => account_id)).toEqual(
      done.map((_, n) => `ACC-${n}`),
    );
  });

  it('makes one entry with a count of a flood of failed logins from one address', async () => {
    const { audit, rows, clock } = await start();
    for (let n = 0; n < 3_000; n += 1) {
      // One caller has a whole /64 of addresses.
      const ip = n % 2 ? '2001:db8::1' : `2001:db8::${n.toString(16)}`;
      await audit.record(login({ tried: `guess-${n}`, ip }));
    }
    await audit.record(login({ tried: 'ann', ip: '2001:db8::1' }));
    clock.advance(1_000);
    const counted = await until('the count', async () => {
      const all = await rows();
      return all.some(({ details }) => details?.includes('"count":3000')) && all;
    });
    expect(counted).toMatchObject([
      { account_id: 'ADMIN-001', actor_kind: 'anonymous', actor_id: null, subject_id: null },
      { account_id: 'ACC-ANN', actor_kind: 'anonymous', actor_id: null, subject_id: 'ACC-ANN' },
    ]);
    expect(JSON.parse(counted[0]!.details!)).toEqual({
      count: 3_000,
      last_at: '2026-01-25T12:00:00.000Z',
    });
    expect(counted[1]!.details).toBeNull();

    clock.advance(60_000);
    await audit.record(login({ tried: 'guess', ip: '2001:db8::1' }));
    await until('the entry of the next minute', async () => (await rows()).length === 3);
  });

  it('keeps a flood from many addresses, and of many wishes, small', async () => {
    const { audit, rows, clock } = await start({ repeats: { perCaller: 5, total: 20 } });
    for (let n = 0; n < 500; n += 1) {
      const ip = `10.0.${n >> 8}.${n & 255}`;
      await audit.record(login({ outcome: 'rate_limited', tried: 'ann', ip }));
      await audit.record(
        login({
          ...{ action: 'robot.update', outcome: 'not_found', robot_id: `r${n}` },
          principal: {
            ...{ kind: 'api_key', account_id: 'ACC', key_id: 'KEY', robot_id: null },
            ...{ scopes: new Set(), expires_at: null },
          },
        }),
      );
    }
    await audit.close();
    const all = await rows();
    expect(all.length).toBeLessThanOrEqual(22);
    const counts = all.map(({ details }) => JSON.parse(details ?? '{}').count ?? 1);
    expect(counts.reduce((sum, count) => sum + count)).toBe(1_000);
    // Those that were refused unheard were not looked up either.
    expect(new Set(all.map(({ account_id }) => account_id))).toEqual(new Set(['ADMIN-001', 'ACC']));
    const many = all.filter(({ action, details }) => action === 'robot.update' && details !== null);
    expect(many).toMatchObject([{ actor_id: 'KEY', robot_id: null }]);
    clock.advance(1_000);
  });

  it('fails nobody while the database is away, and stores everything when it is back', async () => {
    let away = true;
    const { db } = watchQueries(database(), async (query) => {
      if (away && query === 'InsertQueryNode') throw new Error('away');
    });
    const { audit, rows, clock, lines } = await start({ db });
    await db.deleteFrom('audit_entries').execute();
    // The fault comes after the statement, so what it wrote is taken back first.
    await audit.record(login({ outcome: 'ok', subject_id: 'ACC-1' }));
    await audit.record(login({ outcome: 'forbidden' }));
    // That of both: a write under way would still store what is deleted here, or not be told to try again.
    await until('the complaint', () =>
      lines.some((line) => line.includes('"waiting":2') && line.includes('could not be stored')),
    );
    await database().deleteFrom('audit_entries').execute();
    away = false;
    clock.advance(1_000);
    await until('both entries', async () => (await rows()).length === 2);
    expect(await rows()).toMatchObject([{ outcome: 'ok' }, { outcome: 'forbidden' }]);
  });

  it('stores whatever callers send as names', async () => {
    const { audit, rows } = await start();
    const nasty = `\u0000\ud800${'x'.repeat(500)}`;
    await audit.record(
      login({
        ...{ outcome: 'ok', subject_id: 'ACC', robot_id: nasty, ip: nasty },
        details: { name: nasty },
      }),
    );
    const [row] = await rows();
    expect(row?.robot_id).toBe(`\ufffd\ufffd${'x'.repeat(126)}`);
    expect(row?.ip).toHaveLength(64);
    expect(JSON.parse(row?.details ?? '')).toEqual({ name: nasty });
  });

  it('ends after the configured days, or never', async () => {
    const { audit, rows, clock } = await start();
    const log = createLogger('silent', { write: () => {} });
    const sweep = (auditDays: number | null) =>
      createRetention({
        ...{ db: database(), clock, log, statusDays: null, logDays: null, auditDays },
      }).sweep();
    for (let day = 0; day < 3; day += 1) {
      await Promise.all(
        Array.from({ length: 250 }, () =>
          audit.record(login({ outcome: 'ok', subject_id: `day-${day}` })),
        ),
      );
      clock.advance(DAY_MS);
    }
    expect(await sweep(null)).toBe(0);
    expect(await sweep(2)).toBe(250);
    expect(new Set((await rows()).map(({ account_id }) => account_id))).toEqual(
      new Set(['day-1', 'day-2']),
    );
  });
});
