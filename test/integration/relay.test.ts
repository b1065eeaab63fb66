import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { createLogger } from '../../src/lib/logger.js';
import { startApp, useApp } from '../support/app.js';
import { testDatabases } from '../support/databases.js';
import { createStoppedClock } from '../support/identity.js';
import { type CallerOptions, openCaller } from '../support/relay-caller.js';
import { until } from '../support/until.js';

const sqlite = testDatabases[0]!;
/** Neither JSON nor well behaved, and what a parser would not give back to the letter. */
const FRAMES = [
  '{"type":"offer","data":{"type":"offer","sdp":"v=0\\r\\no=- 1 2 IN IP4 127.0.0.1\\r\\n"}}',
  '{ "type" : "candidate","data":{"candidate":"","sdpMLineIndex":0,"sdpMid":"0"}, "n": 1.0 }',
  '{"a":1,"a":2}',
  'not JSON at all',
  '',
  'ä€😀\u0000',
  'null',
];

describe('the relay of two-party calls', () => {
  const app = useApp(sqlite);
  const call = (path = '/ws', options?: CallerOptions) =>
    openCaller(`${app().url}${path}`, options);
  let rooms = 0;
  const newRoom = () => `/ws?room=room-${++rooms}`;
  async function makeKey(account = app().admin, scopes?: ['rooms:join'] | ['status:read']) {
    return app().app.services.apiKeys.create(account.principal, {
      name: 'k',
      ...(scopes && { scopes }),
    });
  }

  it('hands every text frame to the other one to the letter, in order, and never back', async () => {
    const room = newRoom();
    const [ann, ben] = [await call(room), await call(room)];
    expect(ann.clientId).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(ben.clientId).not.toBe(ann.clientId);
    for (const frame of FRAMES) ann.ws.send(frame);
    expect(await ben.reach(FRAMES.length)).toEqual(FRAMES);
    ben.ws.send('over');
    expect(await ann.reach(1)).toEqual(['over']);
    expect(ben.frames.every(({ isBinary }) => !isBinary)).toBe(true);
    expect(ben.frames).toHaveLength(FRAMES.length);
  });

  it('loses what is said to nobody, and says nothing when one goes', async () => {
    const room = newRoom();
    const ann = await call(room);
    ann.ws.send('is anybody there?');
    const ben = await call(room);
    ann.ws.send('hello');
    expect(await ben.reach(1)).toEqual(['hello']);
    ben.ws.close();
    await ben.closed;
    const eve = await call(room);
    eve.ws.send('I am here now');
    expect(await ann.reach(1)).toEqual(['I am here now']);
    expect(eve.frames).toEqual([]);
  });

  it('takes what is sent before the greeting has come', async () => {
    const room = newRoom();
    const ann = await call(room);
    const hasty = new WebSocket(`${app().url.replace('http', 'ws')}${room}`);
    onTestFinished(() => hasty.terminate());
    hasty.once('open', () => hasty.send('at once'));
    expect(await ann.reach(1)).toEqual(['at once']);
  });

  it('closes a third with 4003, and the two go on', async () => {
    const room = newRoom();
    const [ann, ben] = [await call(room), await call(room)];
    await expect(call(room)).rejects.toThrow('closed: 4003 Two are in this call already');
    ann.ws.send('still here');
    expect(await ben.reach(1)).toEqual(['still here']);
    ben.ws.close();
    await ben.closed;
    await call(room);
  });

  it('gives the place of one that has lost its network to who comes next', async () => {
    const room = newRoom();
    const ann = await call(room);
    const lost = await call(room, { autoPong: false });
    const back = await call(room);
    expect(await lost.closed).toMatchObject({ code: 1006 });
    ann.ws.send('there you are');
    expect(await back.reach(1)).toEqual(['there you are']);
  });

  it('greets and pairs those who only know the address', async () => {
    const [ann, ben] = [await call(), await call('/ws/')];
    ann.ws.send('hello');
    expect(await ben.reach(1)).toEqual(['hello']);
    await expect(call('/compat/relay/ws')).rejects.toThrow('closed: 4003');
  });

  it('is apart for every tenant and every room', async () => {
    const other = await app().addAccount();
    const key = await makeKey();
    const room = newRoom();
    const lobbies = [
      await call(room),
      await call(newRoom()),
      await call(room, bearer(other.token)),
      await call(room, bearer(app().admin.token)),
      await call('/ws', bearer(app().admin.token)),
      await call('/ws', bearer(key.key)),
      await call('/ws', bearer(other.token)),
    ];
    for (const [index, caller] of lobbies.entries()) caller.ws.send(`from ${index}`);
    // A pong comes behind whatever the server had to send before it.
    await Promise.all(
      lobbies.map(({ ws }) => {
        ws.ping();
        return once(ws, 'pong');
      }),
    );
    expect(lobbies.flatMap(({ frames }) => frames)).toEqual([]);
  });

  it('takes a credential in every form, all into one lobby', async () => {
    const { key } = await makeKey(app().admin, ['rooms:join']);
    const forms: [string, CallerOptions][] = [
      ['/ws', bearer(key)],
      [`/ws?token=${key}`, {}],
      ['/ws', { protocols: ['bearer', key] }],
      [`/k/${key}/ws`, {}],
      [`/k/${key}/compat/relay/ws`, {}],
    ];
    const first = await call(...forms[0]!);
    for (const [index, [path, options]] of forms.entries()) {
      const second = await call(path, options);
      second.ws.send(`form ${index}`);
      expect((await first.reach(index + 1)).at(-1)).toBe(`form ${index}`);
      // What stands in a header of the answer is read by every proxy on the way.
      expect(second.ws.protocol).toBe(options.protocols ? 'bearer' : '');
      second.ws.close();
      await second.closed;
    }
  });

  it('has one lobby for two keys of an account when they name a room', async () => {
    const room = newRoom();
    const ann = await call(room, bearer((await makeKey()).key));
    const ben = await call(room, bearer((await makeKey()).key));
    ann.ws.send('hello');
    expect(await ben.reach(1)).toEqual(['hello']);
  });

  it.each<[string, string, CallerOptions, number]>([
    ['a wrong bearer token', '/ws', bearer('wrong'), 401],
    ['a wrong token in the query', '/ws?token=wrong', {}, 401],
    ['a wrong key in the path', '/k/wrong/ws', {}, 401],
    ['a wrong key in the path of a room', '/k/wrong/ws?room=a', {}, 401],
    ['a proxy in between', '/ws', { headers: { 'x-forwarded-for': '127.0.0.1' } }, 401],
    ['a proxy, with a room', '/ws?room=a', { headers: { forwarded: 'for=127.0.0.1' } }, 401],
    ['a page of another host', '/ws', { origin: 'https://evil.example' }, 401],
    ['a room that is too long', `/ws?room=${'r'.repeat(129)}`, {}, 400],
    ['two rooms', '/ws?room=a&room=b', {}, 400],
    ['the relay by peerID', '/ws?peerID=a', {}, 404],
  ])('refuses %s before the upgrade', async (_title, path, options, status) => {
    await expect(call(path, options)).rejects.toThrow(`refused: ${status}`);
  });

  it('refuses a key that may not join rooms', async () => {
    const { key } = await makeKey(app().admin, ['status:read']);
    await expect(call(`/k/${key}/ws`)).rejects.toThrow('refused: 403');
  });

  it('lets a page of this machine in, and a stranger with a key', async () => {
    await call(newRoom(), { origin: 'http://localhost:3000' });
    await call(newRoom(), { ...bearer(app().admin.token), origin: 'https://pages.example' });
  });

  it('answers a plain request with 426', async () => {
    const answer = await app().call('GET', '/ws', undefined, null);
    expect(answer.status).toBe(426);
    expect(answer.headers.get('upgrade')).toBe('websocket');
  });

  it('takes 64 KiB in one frame, and closes who sends more', async () => {
    const room = newRoom();
    const [ann, ben] = [await call(room), await call(room)];
    ann.ws.send('x'.repeat(65_536));
    expect((await ben.reach(1))[0]).toHaveLength(65_536);
    ann.ws.send('x'.repeat(65_537));
    expect((await ann.closed).code).toBe(1009);
    expect(ben.frames).toHaveLength(1);
    expect(ben.ws.readyState).toBe(WebSocket.OPEN);
  });

  it('closes who sends what is not text', async () => {
    const room = newRoom();
    const [ann, ben] = [await call(room), await call(room)];
    ann.ws.send(Buffer.from([1, 2, 3]));
    expect(await ann.closed).toEqual({ code: 1003, reason: 'Frames are text' });
    expect(ben.frames).toEqual([]);
  });
});

describe('who needs no credential', () => {
  it.each([
    ['everyone', '203.0.113.9', true],
    ['everyone', undefined, true],
    ['loopback', '203.0.113.9', false],
    ['loopback', undefined, true],
    ['nobody', '203.0.113.9', false],
    ['nobody', undefined, false],
  ] as const)(
    'with access.anonymous %s, forwarded for %s: %s',
    async (anonymous, from, isLetIn) => {
      const { url } = await startApp(sqlite, { config: { access: { anonymous } } });
      const attempt = openCaller(`${url}/ws`, from ? { headers: { 'x-forwarded-for': from } } : {});
      if (isLetIn) expect((await attempt).clientId).toBeDefined();
      else await expect(attempt).rejects.toThrow('refused: 401');
    },
  );

  it('is judged by the address behind a trusted proxy', async () => {
    const trusted = { server: { trusted_proxies: ['loopback'] } };
    const { url } = await startApp(sqlite, { config: trusted });
    const from = (ip: string) => openCaller(`${url}/ws`, { headers: { 'x-forwarded-for': ip } });
    await expect(from('203.0.113.9')).rejects.toThrow('refused: 401');
    await expect(from('127.0.0.1, 203.0.113.9')).rejects.toThrow('refused: 401');
  });
});

describe('limits of the relay', () => {
  it('closes who sends more than 100 frames a second; without rate limits nobody', async () => {
    const clock = createStoppedClock();
    const limited = await startApp(sqlite, {
      clock,
      config: { features: { rate_limiting_enabled: true } },
    });
    const [ann, ben] = [
      await openCaller(`${limited.url}/ws`),
      await openCaller(`${limited.url}/ws`),
    ];
    const say = (count: number) => {
      for (let n = 0; n < count; n += 1) ann.ws.send(String(n));
    };
    say(100);
    await ben.reach(100);
    clock.advance(1_000);
    say(101);
    expect(await ann.closed).toEqual({ code: 1008, reason: 'At most 100 frames a second' });
    expect(ben.frames).toHaveLength(200);

    const free = await startApp(sqlite);
    const [eve, joe] = [await openCaller(`${free.url}/ws`), await openCaller(`${free.url}/ws`)];
    for (let n = 0; n < 300; n += 1) eve.ws.send(String(n));
    expect(await joe.reach(300)).toHaveLength(300);
  });

  it('refuses sockets above limits.sockets_per_ip', async () => {
    const { url } = await startApp(sqlite, { config: { limits: { sockets_per_ip: 2 } } });
    const ann = await openCaller(`${url}/ws?room=a`);
    await openCaller(`${url}/ws?room=b`);
    await expect(openCaller(`${url}/ws?room=c`)).rejects.toThrow('refused: 429');
    ann.ws.close();
    await ann.closed;
    await until('the place of the first', () =>
      openCaller(`${url}/ws?room=c`).then(
        () => true,
        () => false,
      ),
    );
  });

  it('ends one that does not read, and keeps no more than stream_buffer for it', async () => {
    const { url } = await startApp(sqlite, { config: { limits: { stream_buffer: 262_144 } } });
    const [ann, slow] = [await openCaller(`${url}/ws`), await openCaller(`${url}/ws`)];
    slow.ws.pause();
    // More than the buffers of the system take between the two.
    for (let n = 0; n < 400; n += 1) ann.ws.send('x'.repeat(60_000));
    ann.ws.ping();
    await once(ann.ws, 'pong');
    slow.ws.resume();
    expect(await slow.closed).toEqual({ code: 1013, reason: 'You read too slowly' });
    expect(slow.frames.length).toBeLessThan(400);
    expect(slow.frames.every(({ text }) => text.length === 60_000)).toBe(true);
  });

  it('ends one that answers no ping for 30 s, and one whose key was revoked', async () => {
    const clock = createStoppedClock();
    const { url, admin, app } = await startApp(sqlite, { clock });
    const { id, key } = await app.services.apiKeys.create(admin.principal, { name: 'guest' });
    const dead = await openCaller(`${url}/ws`, { autoPong: false });
    const alive = await openCaller(`${url}/ws`);
    const guest = await openCaller(`${url}/k/${key}/ws`);
    await app.services.apiKeys.revoke(admin.principal, id);
    const asked = [once(alive.ws, 'ping'), once(dead.ws, 'ping')];
    clock.advance(30_000);
    await Promise.all(asked);
    expect(await guest.closed).toEqual({ code: 4401, reason: 'The key is no longer good' });
    // The pong of the living one is in before its next ping can be.
    alive.ws.ping();
    await once(alive.ws, 'pong');
    const askedAgain = once(alive.ws, 'ping');
    clock.advance(30_000);
    expect((await dead.closed).code).toBe(1006);
    await askedAgain;
  });
});

it('logs neither what is said nor keys, and says goodbye when the server stops', async () => {
  const lines: string[] = [];
  const log = createLogger('trace', { write: (line) => void lines.push(line) });
  const { url, admin, close } = await startApp(sqlite, { log });
  const path = `${url}/k/${admin.token}/ws`;
  const [ann, ben] = [await openCaller(path), await openCaller(path)];
  ann.ws.send('{"type":"offer","data":{"sdp":"fingerprint-of-ann"}}');
  await ben.reach(1);
  await expect(openCaller(`${url}/k/wrong-key/ws`)).rejects.toThrow('refused: 401');
  const answer = await fetch(`${url}/k/${admin.token}/nowhere?token=${admin.token}`);
  expect(answer.status).toBe(404);
  expect(await answer.text()).not.toContain(admin.token);
  await close();
  expect(await ann.closed).toEqual({ code: 1012, reason: 'The server is shutting down' });
  await ben.closed;
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.join('')).not.toMatch(/fingerprint-of-ann|wrong-key/);
  expect(lines.join('')).not.toContain(admin.token);
});

describe('a key in the path', () => {
  const app = useApp(sqlite);
  it('is a credential for every call', async () => {
    const { url, admin } = app();
    const get = async (path: string, headers = {}) => {
      const response = await fetch(`${url}${path}`, { headers });
      return { status: response.status, policy: response.headers.get('referrer-policy') };
    };
    const ok = { status: 200, policy: 'no-referrer' };
    expect(await get(`/k/${admin.token}/api/v1/robots`)).toEqual(ok);
    expect(await get(`/k/${admin.token}/compat/kairoio/api/v1/robots`)).toEqual(ok);
    expect(await get(`/k/${admin.token}/trpc/robots.list`)).toEqual(ok);
    expect(await get(`/k/wrong/api/v1/robots`)).toMatchObject({ status: 401 });
    // What is said in a header is meant more than what an address happens to have.
    const wrong = { authorization: 'Bearer wrong' };
    expect(await get(`/k/${admin.token}/api/v1/robots`, wrong)).toMatchObject({ status: 401 });
    const right = { authorization: `Bearer ${admin.token}` };
    expect(await get(`/k/wrong/api/v1/robots`, right)).toMatchObject({ status: 200 });
    expect(await get('/api/v1/robots', right)).toEqual({ status: 200, policy: null });
  });
});

function bearer(token: string): CallerOptions {
  return { headers: { authorization: `Bearer ${token}` } };
}
