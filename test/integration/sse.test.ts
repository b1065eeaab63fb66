import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/logger.js';
import { startApp, type TestApp } from '../support/app.js';
import { testDatabases } from '../support/databases.js';
import { createStoppedClock } from '../support/identity.js';
import { expectFailure } from '../support/rest.js';
import { openSse } from '../support/sse.js';
import { connect, replyOf } from '../support/trpc-client.js';
import { until } from '../support/until.js';

const sqlite = testDatabases[0]!;
const LOGS = '/api/v1/robots/r1/logs';
const SUBSCRIBE = `${LOGS}/subscribe`;
const TICKET = '/api/v1/streams/ticket';

describe('event streams', () => {
  async function start(options: Parameters<typeof startApp>[1] = {}) {
    const clock = createStoppedClock();
    const lines: string[] = [];
    const log = createLogger('trace', { write: (line) => void lines.push(line) });
    const app = await startApp(sqlite, { clock, log, ...options });
    await app.call('POST', '/api/v1/robots', { robot_id: 'r1', robot_type: 'x' });
    const auth = { authorization: `Bearer ${app.admin.token}` };
    const push = async (message: string) => {
      const answer = await app.call('POST', LOGS, { topic: 't', message });
      expect(answer.status).toBe(200);
    };
    return { app, clock, lines, auth, push, url: `${app.url}${SUBSCRIBE}` };
  }
  const keyOf = async (app: TestApp, body: object) =>
    (await app.call('POST', '/api/v1/keys', { name: 'k', ...body })).json.data;
  const ticketOf = async (app: TestApp, token?: string): Promise<string> =>
    (await app.call('POST', TICKET, undefined, token)).json.data.ticket;

  describe('on the wire', () => {
    it('begin with how to come back and where, and go on with one event a line', async () => {
      const { url, auth, push } = await start();
      await push('before');
      const reader = await openSse(url, auth);
      expect(reader.status).toBe(200);
      expect(reader.headers).toMatchObject({
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache',
        'x-accel-buffering': 'no',
        'access-control-allow-origin': '*',
      });
      await until('the start', () => reader.blocks.length === 2);
      expect(reader.text()).toBe('retry: 1000\n\nid: 1\n\n');
      await push('line one\nline two\r\n\u2028 "ü"');
      const [event] = await reader.reach(1);
      expect(event).toMatchObject({
        type: 'log',
        id: 2,
        message: 'line one\nline two\r\n\u2028 "ü"',
      });
      expect(reader.blocks[2]).toEqual({ id: '2', data: JSON.stringify(event) });
    });

    it('hold proxies awake with comments while there is nothing to say', async () => {
      const { url, auth, clock, push } = await start();
      const reader = await openSse(url, auth);
      await until('the start', () => reader.blocks.length === 2);
      clock.advance(14_999);
      clock.advance(1);
      await until('the comment', () => reader.blocks.length === 3);
      expect(reader.blocks[2]).toEqual({ comment: '' });
      await push('m');
      await reader.reach(1);
      clock.advance(15_000);
      await until('the next one', () => reader.blocks.length === 5);
      expect(reader.text().endsWith('\n\n:\n\n')).toBe(true);
    });

    it('go on after the header, else after what the address says', async () => {
      const { url, auth, push } = await start();
      for (const message of ['1', '2', '3']) await push(message);
      const messages = async (count: number, search: string, headers = {}) => {
        const reader = await openSse(`${url}${search}`, { ...auth, ...headers });
        return (await reader.reach(count)).map(({ message }) => message);
      };
      expect(await messages(3, '?last_event_id=0')).toEqual(['1', '2', '3']);
      expect(await messages(1, '', { 'last-event-id': '2' })).toEqual(['3']);
      expect(await messages(2, '?last_event_id=2', { 'last-event-id': '1' })).toEqual(['2', '3']);
      expect(await messages(1, '?last_event_id=2', { 'last-event-id': '' })).toEqual(['3']);
      const live = await openSse(`${url}?last_event_id=`, auth);
      await push('4');
      expect((await live.reach(1)).map(({ message }) => message)).toEqual(['4']);
    });

    it('serve HTTP/1.0, and refuse to be pipelined', async () => {
      const { app, auth, push } = await start();
      const talk = async (text: string) => {
        const socket = connectTcp(Number(new URL(app.url).port), '127.0.0.1');
        let answer = '';
        socket.setEncoding('utf8').on('data', (chunk: string) => {
          answer += chunk;
        });
        socket.write(text);
        return { socket, answer: () => answer };
      };
      const head = `authorization: ${auth.authorization}\r\n\r\n`;
      const old = await talk(`GET ${SUBSCRIBE} HTTP/1.0\r\n${head}`);
      await until('the start', () => old.answer().includes('id: 0\n\n'));
      await push('m');
      await until('the event', () => old.answer().includes('"message":"m"'));
      expect(old.answer()).not.toContain('chunked');
      old.socket.destroy();

      const request = `GET ${SUBSCRIBE} HTTP/1.1\r\nhost: x\r\n${head}`;
      // Checking a password takes much longer than all that follows.
      const login = '{"username":"nobody@example.com","password":"y"}';
      const length = `content-length: ${login.length}`;
      const slow = `POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\n${length}\r\n\r\n`;
      const pipelined = await talk(`${slow}${login}${request}`);
      await until('both answers', () => pipelined.answer().includes('pipelined'));
      expect(pipelined.answer()).toContain('HTTP/1.1 400 Bad Request');
      pipelined.socket.destroy();
    });

    it('answer HEAD like GET, without holding a stream open', async () => {
      const { app, url, auth } = await start();
      const head = await fetch(url, { method: 'HEAD', headers: auth });
      expect(head.status).toBe(200);
      expect(head.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
      expect((await fetch(url, { method: 'HEAD' })).status).toBe(401);
      const missing = url.replace('r1', 'r2');
      expect((await fetch(missing, { method: 'HEAD', headers: auth })).status).toBe(404);
      expect((await app.call('GET', '/metrics')).text).toMatch(/^fleetwire_stream_subscribers 0$/m);
    });

    it('are in the OpenAPI document as what they are', async () => {
      const { app } = await start();
      const document = (await app.call('GET', '/openapi.json')).json;
      const operation = document.paths['/api/v1/robots/{robotId}/logs/subscribe'].get;
      expect(Object.keys(operation.responses['200'].content)).toEqual(['text/event-stream']);
      expect(operation.security).toEqual([{ bearer: [] }, { token: [] }, { ticket: [] }]);
      const names = operation.parameters.map(({ name }: { name: string }) => name);
      expect(names.sort()).toEqual(['last_event_id', 'level', 'robotId', 'topic']);
    });
  });

  describe('that fail', () => {
    it('at once are answered as everything else', async () => {
      const { app, clock } = await start();
      const stranger = await app.addAccount();
      const narrow = await keyOf(app, { scopes: ['status:read'] });
      const get = (path: string, token?: string | null) => app.call('GET', path, undefined, token);
      expectFailure(await get(SUBSCRIBE, null), 401, 'Invalid certification key');
      expectFailure(await get(SUBSCRIBE, 'unknown'), 401, 'Invalid certification key');
      expectFailure(await get(SUBSCRIBE, stranger.token), 403, 'Access denied');
      expectFailure(await get(SUBSCRIBE, narrow.key), 403, 'This key lacks the scope logs:read');
      expectFailure(await get(SUBSCRIBE.replace('r1', 'r2')), 404, 'Robot not found');
      expectFailure(await get(`${SUBSCRIBE}?last_event_id=x`), 400, /^cursor: /);
      expectFailure(
        await get(`${SUBSCRIBE}?last_event_id=${'9'.repeat(33)}`),
        400,
        /last_event_id/,
      );
      expectFailure(await get(`${SUBSCRIBE}?topic=${'x'.repeat(201)}`), 400, /^topic: /);
      const metrics = (await app.call('GET', '/metrics')).text;
      expect(metrics).toMatch(/^fleetwire_stream_subscribers 0$/m);
      clock.advance(1_000);
    });

    it('later say so in an event of its own, and end', async () => {
      const { app, url, clock } = await start();
      const { id, key } = await keyOf(app, { scopes: ['logs:read'] });
      const reader = await openSse(url, { authorization: `Bearer ${key}` });
      await until('the start', () => reader.blocks.length === 2);
      await app.call('DELETE', `/api/v1/keys/${id}`);
      clock.advance(1_000);
      await reader.ended;
      expect(reader.blocks.at(-1)).toEqual({
        event: 'error',
        data: JSON.stringify({
          ...{ success: false, error: 'Invalid certification key', code: 'unauthenticated' },
        }),
      });
    });

    it('are no more than an address may have, until one of them ends', async () => {
      const { app, url, auth } = await start({ config: { limits: { sockets_per_ip: 2 } } });
      const first = await openSse(url, auth);
      await openSse(`${app.url}/compat/kairoio${SUBSCRIBE}`, auth);
      const refused = await app.call('GET', SUBSCRIBE);
      expectFailure(refused, 429, 'At most 2 streams from one address');
      expect(refused.headers.get('retry-after')).toBe('1');
      first.close();
      const third = await until('a place', async () => {
        const reader = await openSse(url, auth);
        return reader.status === 200 && reader;
      });
      await until('the start', () => third.blocks.length === 2);
    });

    it('with the server, are told to come back', async () => {
      const { app, url, auth } = await start();
      const readers = await Promise.all([1, 2, 3].map(() => openSse(url, auth)));
      for (const reader of readers) await until('the start', () => reader.blocks.length === 2);
      const startMs = performance.now();
      await app.close();
      // Well within the time after which connections are cut.
      expect(performance.now() - startMs).toBeLessThan(2_500);
      for (const reader of readers) {
        await reader.ended;
        expect(reader.blocks.at(-1)).toEqual({
          event: 'end',
          data: JSON.stringify({
            reason: 'The server is shutting down; connect again to resume',
          }),
        });
      }
    });
  });

  describe('of browsers', () => {
    it('take the token from the address, and nothing else does', async () => {
      const { app, url, push } = await start();
      const reader = await openSse(`${url}?token=${app.admin.token}`);
      await until('the start', () => reader.blocks.length === 2);
      await push('m');
      expect(await reader.reach(1)).toHaveLength(1);
      for (const path of [LOGS, '/api/v1/robots', TICKET]) {
        const method = path === TICKET ? 'POST' : 'GET';
        const answer = await app.call(method, `${path}?token=${app.admin.token}`, undefined, null);
        expectFailure(answer, 401, 'Invalid certification key');
      }
      const wrong = await app.call('GET', `${SUBSCRIBE}?token=wrong`, undefined, null);
      expectFailure(wrong, 401, 'Invalid certification key');
      const twice = await app.call('GET', `${SUBSCRIBE}?token=a&token=b`, undefined, null);
      expectFailure(twice, 401, 'Invalid certification key');
    });

    it('take a ticket, once', async () => {
      const { app, url, push } = await start();
      const answer = await app.call('POST', TICKET);
      expect(answer.json.data).toEqual({
        ticket: expect.stringMatching(/^fwt_[\w-]{43}$/),
        expires_in_seconds: 60,
      });
      const { ticket } = answer.json.data;
      const reader = await openSse(`${url}?ticket=${ticket}`);
      await until('the start', () => reader.blocks.length === 2);
      await push('m');
      await reader.reach(1);
      const path = `${SUBSCRIBE}?ticket=${ticket}`;
      expectFailure(await app.call('GET', path, undefined, null), 401, 'Invalid certification key');
      const unused = await ticketOf(app);
      for (const other of [LOGS, '/api/v1/robots']) {
        const refused = await app.call('GET', `${other}?ticket=${unused}`, undefined, null);
        expectFailure(refused, 401, 'Invalid certification key');
      }
      expectFailure(await app.call('GET', LOGS, undefined, unused), 401);
      expect((await openSse(`${url}?ticket=${unused}`)).status).toBe(200);
    });

    it('take a ticket for a minute', async () => {
      const { app, url, clock } = await start();
      const [first, second] = [await ticketOf(app), await ticketOf(app)];
      clock.advance(59_999);
      expect((await openSse(`${url}?ticket=${first}`)).status).toBe(200);
      clock.advance(1);
      expect((await openSse(`${url}?ticket=${second}`)).status).toBe(401);
    });

    it('may with a ticket what the credential may that asked for it, as long as it may', async () => {
      const { app, url, clock } = await start();
      const stranger = await app.addAccount();
      const { id, key } = await keyOf(app, { scopes: ['logs:read'] });
      const narrow = await keyOf(app, { scopes: ['status:read'] });
      const open = async (token: string) => openSse(`${url}?ticket=${await ticketOf(app, token)}`);
      expect((await open(stranger.token)).status).toBe(403);
      expect((await open(narrow.key)).status).toBe(403);
      const reader = await open(key);
      await until('the start', () => reader.blocks.length === 2);
      const late = await ticketOf(app, key);
      await app.call('DELETE', `/api/v1/keys/${id}`);
      clock.advance(1_000);
      await reader.ended;
      expect(reader.blocks.at(-1)?.event).toBe('error');
      expect((await openSse(`${url}?ticket=${late}`)).status).toBe(401);
      expectFailure(await app.call('POST', TICKET, undefined, 'wrong'), 401);
    });

    it('get tickets over tRPC too', async () => {
      const { app, url } = await start();
      const client = connect(app, app.admin.token);
      const { ticket, expires_in_seconds } = await client.streams.ticket.mutate();
      expect(expires_in_seconds).toBe(60);
      expect((await openSse(`${url}?ticket=${ticket}`)).status).toBe(200);
      const stranger = connect(app, 'wrong');
      expect(await replyOf(stranger.streams.ticket.mutate())).toMatchObject({ status: 401 });
    });

    it('leave neither token nor ticket in any log, however it goes', async () => {
      const { app, url, clock, lines, push } = await start();
      const { id, key } = await keyOf(app, { scopes: ['logs:read'] });
      const secrets = [app.admin.token, key];
      const ticket = async () => {
        secrets.push(await ticketOf(app, key));
        return secrets.at(-1)!;
      };
      const used = await ticket();
      const reader = await openSse(`${url}?ticket=${used}`);
      const other = await openSse(`${url}?token=${key}&last_event_id=0`);
      await push('m');
      for (const { reach } of [reader, other]) await reach(1);
      for (const [path, status] of [
        [`${SUBSCRIBE}?ticket=${used}`, 401],
        [`${SUBSCRIBE}?ticket=${await ticket()}&last_event_id=x`, 400],
        [`${SUBSCRIBE}?token=${key}&topic=${'x'.repeat(300)}`, 400],
        [`${SUBSCRIBE.replace('r1', 'r2')}?token=${key}`, 404],
        [`${SUBSCRIBE.replace('r1', '%ff')}?token=${key}`, 400],
        [`/api/v1/nothing?token=${key}`, 404],
        [`${LOGS}?token=${key}`, 401],
        [`/trpc/nothing?token=${key}&ticket=${await ticket()}`, 404],
        [`/trpc?token=${key}`, 426],
      ] as const) {
        const answer = await app.call('GET', path, undefined, null);
        expect([path.split('?')[0], answer.status]).toEqual([path.split('?')[0], status]);
        for (const secret of secrets) expect(answer.text).not.toContain(secret);
      }
      other.close();
      await app.call('DELETE', `/api/v1/keys/${id}`);
      clock.advance(1_000);
      await reader.ended;
      const lost = connectTcp(Number(new URL(app.url).port), '127.0.0.1');
      lost.end(`GET ${SUBSCRIBE}?token=${key} HTTP/9.9\r\nhost: x\r\n\r\n`);
      await once(lost.resume(), 'close');
      await app.close();
      expect(lines.length).toBeGreaterThan(10);
      for (const secret of secrets) expect(lines.join('')).not.toContain(secret);
      expect(lines.join('')).not.toMatch(/[?&](token|ticket)=/);
    });
  });
});
