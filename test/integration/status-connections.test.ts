import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { type StartAppOptions, startApp, type TestApp, useApp } from '../support/app.js';
import { describeEachDatabase, testDatabases } from '../support/databases.js';
import { openRaw, type RawAnswer, rawRequest } from '../support/raw-http.js';
import { until } from '../support/until.js';

const ROBOT = '/api/v1/robots/robot_001';
const sqlite = testDatabases.filter(({ dialect }) => dialect === 'sqlite');

/** Node writes the names that it adds itself with capitals. */
function tookTheShortestWay({ names }: RawAnswer): boolean {
  return names.includes('content-type') && !names.includes('Date');
}

function status(app: TestApp, body = '{"status":{}}', headers: string[] = []): string {
  const own = ['Host: x', `Authorization: Bearer ${app.admin.token}`, ...headers];
  return rawRequest(`POST ${ROBOT}/status`, own, body);
}

async function withRobot(
  kind: (typeof testDatabases)[number],
  options: StartAppOptions = {},
): Promise<TestApp> {
  const app = await startApp(kind, options);
  await register(app);
  return app;
}

async function register(app: TestApp): Promise<void> {
  await app.call('POST', '/api/v1/robots', { robot_id: 'robot_001', robot_type: 'rover' });
}

async function stored(app: TestApp): Promise<string[]> {
  const { json } = await app.call('GET', `${ROBOT}/history?limit=1000`);
  return json.data.history.map((entry: { status_json: string }) => entry.status_json);
}

async function exchange(app: TestApp, ...pieces: (string | Buffer)[]): Promise<RawAnswer> {
  const { socket, answer } = await openRaw(app.url);
  for (const piece of pieces) await new Promise((sent) => socket.write(piece, sent));
  return answer();
}

describeEachDatabase('a connection with nothing but statuses', (kind) => {
  const fast = useApp(kind);
  const slow = useApp(kind, { config: { http: { fast_status: false } } });

  /** The answers of both, without what is another each time. */
  async function both(make: (app: TestApp) => string) {
    const answers = [];
    for (const app of [fast(), slow()]) {
      await register(app);
      const { status: code, headers, body } = await exchange(app, make(app));
      const { data, ...json } = JSON.parse(body || '{}');
      answers.push({
        ...{ code, type: headers.get('content-type'), retry: headers.get('retry-after') },
        ...{ connection: headers.get('connection'), keep: headers.get('keep-alive') },
        ...{ isDated: Date.parse(headers.get('date') ?? '') > 0, json },
        data: data && { ...data, timestamp: typeof data.timestamp },
      });
    }
    return answers;
  }

  it.each([
    ['a status', '{"status":{"battery_level":85,"local_position":{"x":1,"y":2}}}'],
    ['one with warnings', '{"status":{"battery_level":"85","mode":"\u00fc"}}'],
    ['one with its own time', '{"status":{},"timestamp":"2026-01-25T12:00:00+08:00"}'],
    ['a bad time', '{"status":{},"timestamp":"gestern, \u00fcbrigens"}'],
    ['a bad event id', '{"status":{},"event_id":""}'],
    ['no status', '{}'],
    ['a list', '[1]'],
    ['no JSON', '{"status":'],
  ])('is answered as by the route: %s', async (_name, body) => {
    const [short, long] = await both((app) => status(app, body));
    expect(short).toEqual(long);
  });

  it.each<[string, (app: TestApp) => string]>([
    ['an unknown robot', (app) => status(app).replace('robot_001', 'nobody')],
    ['an unknown key', (app) => status(app).replace(app.admin.token, 'nobody')],
    ['no key', (app) => status(app).replace(/Authorization.*\r\n/, '')],
    ['no host', (app) => status(app).replace(/Host.*\r\n/, '')],
    ['two lengths', (app) => status(app, undefined, ['Content-Length: 5'])],
    ['chunks', (app) => status(app, undefined, ['Transfer-Encoding: chunked'])],
    ['a folded header', (app) => status(app, undefined, ['Accept: a\r\n b'])],
    ['a lone line feed', (app) => status(app, undefined, ['Accept: a\nUser-Agent: b'])],
    ['a space before a colon', (app) => status(app, undefined, ['Accept : a'])],
    ['a header of no known name', (app) => status(app, undefined, ['X-Any: a'])],
    ['the last one', (app) => status(app, undefined, ['Connection: close'])],
    ['HTTP of before', (app) => status(app).replace('HTTP/1.1', 'HTTP/1.0')],
    ['another method', (app) => status(app).replace('POST', 'PUT')],
    ['no HTTP', () => 'hello there\r\n\r\n'],
  ])('says the same as the route to %s', async (_name, make) => {
    const [short, long] = await both(make);
    expect(short).toEqual(long);
  });

  it('takes the shortest way, and every status is kept to the letter', async () => {
    const app = fast();
    await register(app);
    const { socket, answer } = await openRaw(app.url);
    const texts = ['{"n":1.0}', '{"n":12345678901234567890}', '{"\u00e9":"\u{1f916}"}'];
    for (const text of texts) {
      socket.write(status(app, `{"status":${text}}`));
      const got = await answer();
      expect([got.status, tookTheShortestWay(got)]).toEqual([200, true]);
    }
    expect(await stored(app)).toEqual(expect.arrayContaining(texts));
  });
});

describe.each(sqlite)('a status in pieces on $dialect', (kind) => {
  const app = useApp(kind);

  it('is the same status wherever it is cut', async () => {
    await register(app());
    const request = Buffer.from(status(app(), '{"status":{"cut":true}}', ['User-Agent: robot']));
    const { socket, answer } = await openRaw(app().url);
    let served = 0;
    for (let cut = 1; cut < request.length; cut += 7) {
      socket.write(request.subarray(0, cut));
      socket.write(request.subarray(cut));
      expect((await answer()).status).toBe(200);
      served += 1;
    }
    const texts = await stored(app());
    expect(texts.filter((text) => text === '{"cut":true}')).toHaveLength(served);
  });

  it('may have its body come after its head, as from Python', async () => {
    await register(app());
    const [head, body] = status(app()).split(/(?<=\r\n\r\n)/) as [string, string];
    const { socket, answer } = await openRaw(app().url);
    for (let round = 0; round < 3; round += 1) {
      await new Promise((sent) => socket.write(head, sent));
      socket.write(body);
      const got = await answer();
      expect([got.status, tookTheShortestWay(got)]).toEqual([200, true]);
    }
  });

  it('comes from Python itself', async () => {
    await register(app());
    const program = `
import http.client, sys
c = http.client.HTTPConnection(sys.argv[1])
for n in range(3):
    c.request('POST', '${ROBOT}/status', '{"status": {"python": %d}}' % n, {'Authorization': 'Bearer ' + sys.argv[2]})
    r = c.getresponse()
    assert r.status == 200, r.read()
    r.read()
    print(r.headers['date'] is not None)
`;
    const { host } = new URL(app().url);
    const { stdout } = await promisify(execFile)('python3', [
      ...['-c', program, host, app().admin.token],
    ]);
    expect(stdout.trim().split('\n')).toEqual(['True', 'True', 'True']);
    expect(await stored(app())).toEqual(
      expect.arrayContaining(['{"python": 0}', '{"python": 1}', '{"python": 2}']),
    );
  });
});

describe.each(sqlite)('what else comes on such a connection on $dialect', (kind) => {
  const app = useApp(kind);
  const version = 'GET /version HTTP/1.1\r\nhost: x\r\n\r\n';

  it('is served, and so is every status after it', async () => {
    await register(app());
    const { socket, answer } = await openRaw(app().url);
    const ways: boolean[] = [];
    for (const request of [status(app()), version, status(app()), version]) {
      socket.write(request);
      const got = await answer();
      expect(got.status).toBe(200);
      ways.push(tookTheShortestWay(got));
    }
    expect(ways).toEqual([true, false, false, false]);
  });

  it.each([
    ['at once', (socket: NodeJS.WritableStream, all: string[]) => void socket.write(all.join(''))],
    [
      'one by one',
      (socket: NodeJS.WritableStream, all: string[]) => {
        for (const request of all) socket.write(request);
      },
    ],
  ])('is answered in order when it is sent %s', async (_name, send) => {
    await register(app());
    const { socket, answer } = await openRaw(app().url);
    const bodies = [1, 2, 3, 4].map((n) => `{"status":{},"event_id":"${n}","timestamp":${n}}`);
    send(socket, [...bodies.map((body) => status(app(), body)), version]);
    for (const _ of bodies) {
      const { status: code, body } = await answer();
      expect([code, JSON.parse(body).error]).toEqual([400, expect.stringContaining('seconds')]);
    }
    expect((await answer()).status).toBe(200);
  });

  it('is refused as ever when it is cut off', async () => {
    const { socket, answer } = await openRaw(app().url);
    socket.end(status(app()).slice(0, -5));
    expect((await answer()).status).toBe(400);
  });

  it('may be the upgrade to a WebSocket', async () => {
    const { socket, answer } = await openRaw(app().url);
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    const key = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==';
    socket.write(status(app()));
    await answer();
    socket.write(`GET /trpc HTTP/1.1\r\nHost: x\r\n${[...upgrade, key].join('\r\n')}\r\n\r\n`);
    expect((await answer()).status).toBe(101);
  });
});

describe.each(sqlite)('who may not, or too often on $dialect', (kind) => {
  it('is told so', async () => {
    const app = await withRobot(kind);
    const { json } = await app.call('POST', '/api/v1/keys', { name: 'r', scopes: ['status:read'] });
    const { socket, answer } = await openRaw(app.url);
    for (let round = 0; round < 2; round += 1) {
      socket.write(status(app).replace(app.admin.token, json.data.key));
      const { status: code, body } = await answer();
      expect([code, JSON.parse(body).code]).toEqual([403, 'forbidden']);
    }
  });

  it('is counted with all the others', async () => {
    const app = await withRobot(kind, {
      config: {
        features: { rate_limiting_enabled: true },
        limits: { requests_per_second: 5 },
      },
    });
    const { socket, answer } = await openRaw(app.url);
    const codes: number[] = [];
    while (!codes.includes(429)) {
      socket.write(status(app));
      const { status: code, headers, body } = await answer();
      codes.push(code);
      if (code !== 429) continue;
      expect(headers.get('retry-after')).toBe('1');
      expect(JSON.parse(body)).toMatchObject({ success: false, limit: 'requests_per_second' });
    }
  });
});

describe.each(sqlite)('a connection on which nothing comes on $dialect', (kind) => {
  const server = { read_timeout: 300, idle_timeout: 300 };

  it.each([
    ['at all', () => ''],
    ['after the first bytes', () => 'POST '],
    ['after half a body', (app: TestApp) => status(app).slice(0, -5)],
  ])('%s is ended with 408', async (_name, start) => {
    const app = await withRobot(kind, { config: { server } });
    const { socket, answer, ended } = await openRaw(app.url);
    socket.write(start(app));
    const { status: code, body } = await answer();
    expect([code, JSON.parse(body).code]).toEqual([408, 'timeout']);
    await ended;
  });

  it('for long after an answer is ended without a word', async () => {
    const app = await withRobot(kind, { config: { server } });
    const { socket, answer, ended } = await openRaw(app.url);
    socket.write(status(app));
    expect((await answer()).headers.get('keep-alive')).toBe('timeout=0');
    await ended;
    await expect(answer()).rejects.toThrow('without an answer');
  });
});

describe.each(sqlite)('when the server stops on $dialect', (kind) => {
  it('connections at rest end at once, and calls under way are answered first', async () => {
    const database = await kind.create();
    const app = await startApp(database);
    await register(app);
    const resting = await openRaw(app.url);
    resting.socket.write(status(app));
    await resting.answer();
    const busy = await openRaw(app.url);
    const { path } = database.config as { path: string };
    const other = new Database(path);
    other.exec('BEGIN IMMEDIATE');
    busy.socket.write(status(app));
    await until('the call to be under way', async () =>
      /ingest_queue_rows 1/.test((await app.call('GET', '/metrics')).text),
    );
    const closed = app.close();
    await resting.ended;
    other.exec('COMMIT');
    other.close();
    const { status: code, headers } = await busy.answer();
    expect([code, headers.get('connection')]).toEqual([200, 'close']);
    await Promise.all([busy.ended, closed]);
  });
});
