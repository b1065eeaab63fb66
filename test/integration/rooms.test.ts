import { createTRPCClient, httpLink } from '@trpc/client';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.js';
import type { AppRouter } from '../../src/routers/index.js';
import { type Answer, startApp, type TestApp, useApp } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { joinRoom, openRoom } from '../support/room-client.js';

const SECONDS = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
const ROOM_ID = /^[A-Za-z0-9]{10}$/;
/** From another machine, as far as the server can tell. */
const ELSEWHERE = { 'x-forwarded-for': '203.0.113.7' };
const LIMITED = {
  error: 'rate limit exceeded',
  message: 'too many requests from this IP address',
  retry_after: '60s',
};

async function from(
  { url }: TestApp,
  method: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<Pick<Answer, 'status' | 'json' | 'headers'>> {
  const response = await fetch(url + path, { method, headers });
  return { status: response.status, headers: response.headers, json: await response.json() };
}

async function createRoom(app: TestApp, token: string | null = null) {
  const { status, json } = await app.call('POST', '/api/rooms/create', undefined, token);
  expect(status).toBe(200);
  return json as { room_id: string; url: string; expires_at: string };
}

describeEachDatabase('rooms', (kind) => {
  const app = useApp(kind);

  it('are made without credential or body, and live for a day', async () => {
    const before = Date.now();
    const { json } = await app().call('POST', '/api/rooms/create', undefined, null);
    const { room_id } = json;
    expect(json).toEqual({
      room_id: expect.stringMatching(ROOM_ID),
      url: `${app().url}/room/${room_id}`,
      expires_at: SECONDS,
    });
    const lifeMs = Date.parse(json.expires_at) - before;
    expect(Math.abs(lifeMs - 86_400_000)).toBeLessThan(5_000);
    const { status, json: info } = await app().call(
      'GET',
      `/api/rooms/${room_id}`,
      undefined,
      null,
    );
    expect({ status, info }).toEqual({
      status: 200,
      info: { room_id, active: true, participants: 0, created_at: SECONDS },
    });
  });

  it.each([['{"creator_user_id":7}'], ['{}'], ['[1]'], ['7']])(
    'ignore the body %s',
    async (body) => {
      const { status } = await app().call('POST', '/api/rooms/create', body, null);
      expect(status).toBe(200);
    },
  );

  it('count who is in them', async () => {
    const { room_id } = await createRoom(app());
    const info = async () => (await app().call('GET', `/api/rooms/${room_id}`)).json.participants;
    const ann = await joinRoom(app().url, room_id, 'ann');
    await joinRoom(app().url, room_id, 'bob');
    expect(await info()).toBe(2);
    ann.ws.close();
    await ann.closed;
    expect(await info()).toBe(1);
  });

  it('answer in their own words when something is wrong', async () => {
    const failures = [
      ['GET', '/api/rooms/not%20a%20slug', 400, 'invalid room slug'],
      ['GET', `/api/rooms/${'x'.repeat(51)}`, 400, 'invalid room slug'],
      ['GET', '/api/rooms/nosuchroom', 404, 'room not found'],
      ['GET', '/api/rooms/a/b', 404, 'there is no GET /api/rooms/a/b; see /docs'],
      ['POST', '/api/rooms/other', 404, 'there is no POST /api/rooms/other; see /docs'],
    ] as const;
    for (const [method, path, status, error] of failures) {
      const answer = await from(app(), method, path);
      expect({ path, status: answer.status, json: answer.json }).toEqual({
        ...{ path, status, json: { error } },
      });
    }
    const { json } = await app().call('POST', '/api/rooms/create', '{', null);
    expect(json).toEqual({ error: 'the body is not valid JSON' });
  });

  it('are served below /compat/kaamos too, with its own health', async () => {
    const { status, json } = await app().call('GET', '/compat/kaamos/health', undefined, null);
    expect({ status, json }).toEqual({ status: 200, json: { status: 'ok', time: SECONDS } });
    const made = await app().call('POST', '/compat/kaamos/api/rooms/create', undefined, null);
    const { room_id } = made.json;
    const info = await app().call('GET', `/compat/kaamos/api/rooms/${room_id}`, undefined, null);
    expect(info.json.participants).toBe(0);
    await joinRoom(app().url, room_id, 'ann', { path: '/compat/kaamos/ws/' });
    const page = await fetch(`${app().url}/compat/kaamos/room/${room_id}`);
    expect(page.status).toBe(200);
  });

  it('have a page that loads nothing from elsewhere and tells nobody its address', async () => {
    const page = await fetch(`${app().url}/room/abc123xyz`);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(page.headers.get('referrer-policy')).toBe('no-referrer');
    const text = await page.text();
    const links = [...text.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, link = '']) => link);
    const files = links.filter((link) => !link.startsWith('data:'));
    expect(files).toEqual(['../room-page/room.css', '../room-page/room.mjs']);
    for (const file of [...files, '../room-page/signalling.mjs']) {
      const { status, headers } = await fetch(new URL(file, `${app().url}/room/abc123xyz`));
      expect({ file, status }).toEqual({ file, status: 200 });
      expect(headers.get('content-type')).toMatch(/^text\/(css|javascript); charset=utf-8$/);
    }
  });

  describe('of an account', () => {
    it('have a pass, which is good for that room alone', async () => {
      const { room_id, url } = await createRoom(app(), app().admin.token);
      const pass = new URL(url).searchParams.get('token')!;
      expect(pass).toMatch(/^fwj_[\w-]{32}$/);
      const other = await createRoom(app(), app().admin.token);
      const look = (id: string, token: string) =>
        from(app(), 'GET', `/api/rooms/${id}?token=${token}`, ELSEWHERE);
      expect((await look(room_id, pass)).status).toBe(200);
      expect((await look(other.room_id, pass)).status).toBe(404);
      expect((await look(room_id, `${pass}x`)).status).toBe(404);
      await openRoom(app().url, room_id, { search: `?token=${pass}`, headers: ELSEWHERE });
      await expect(
        openRoom(app().url, other.room_id, { search: `?token=${pass}`, headers: ELSEWHERE }),
      ).rejects.toThrow('404 {"error":"room not found"}');
      const made = await from(app(), 'POST', '/api/rooms/create', {
        authorization: `Bearer ${pass}`,
      });
      expect(made.status).toBe(401);
      const elsewhere = await app().call('GET', '/api/v1/robots', undefined, pass);
      expect(elsewhere.status).toBe(401);
    });

    it('are not there for another', async () => {
      const stranger = await app().addAccount();
      const { room_id } = await createRoom(app(), app().admin.token);
      const path = `/api/rooms/${room_id}`;
      expect((await app().call('GET', path, undefined, stranger.token)).status).toBe(404);
      expect((await app().call('GET', path, undefined, app().admin.token)).status).toBe(200);
      const headers = { authorization: `Bearer ${stranger.token}` };
      await expect(openRoom(app().url, room_id, { headers })).rejects.toThrow(/^404 /);
    });

    it('need the scope of a key', async () => {
      const make = async (scopes: string[]) =>
        (await app().call('POST', '/api/v1/keys', { name: 'k', scopes })).json.data.key as string;
      const [joins, nothing] = [await make(['rooms:join']), await make(['robots:read'])];
      const { room_id } = await createRoom(app(), app().admin.token);
      const path = `/api/rooms/${room_id}`;
      expect((await app().call('POST', '/api/rooms/create', undefined, joins)).status).toBe(403);
      expect((await app().call('GET', path, undefined, joins)).status).toBe(200);
      expect((await app().call('GET', path, undefined, nothing)).status).toBe(403);
      const open = (key: string) =>
        openRoom(app().url, room_id, { headers: { authorization: `Bearer ${key}` } });
      await open(joins);
      await expect(open(nothing)).rejects.toThrow(/^403 /);
    });

    it('are in the audit', async () => {
      const { room_id } = await createRoom(app(), app().admin.token);
      const { json } = await app().call('GET', '/api/v1/audit?action=room.create');
      expect(json.data.entries[0]).toMatchObject({ subject_id: room_id, outcome: 'ok' });
      expect(JSON.stringify(json)).not.toContain('fwj_');
    });
  });

  it('are made and read over tRPC', async () => {
    const connect = (token?: string) =>
      createTRPCClient<AppRouter>({
        links: [
          httpLink({
            url: `${app().url}/trpc`,
            headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
          }),
        ],
      });
    const room = await connect(app().admin.token).rooms.create.mutate();
    expect(room).toMatchObject({
      pass: expect.stringMatching(/^fwj_/),
      room_id: expect.anything(),
    });
    expect(room.url).toBe(`${app().url}/room/${room.room_id}?token=${room.pass}`);
    const { room_id } = room;
    expect(await connect(room.pass!).rooms.get.query({ room_id })).toMatchObject({ room_id });
    const guest = await connect().rooms.create.mutate();
    expect(guest.pass).toBeNull();
    await expect(connect().rooms.get.query({ room_id: 'a b' })).rejects.toThrow(
      'invalid room slug',
    );
  });

  describe('and callers without a credential', () => {
    it('from elsewhere, or from a page of another host, are sent away', async () => {
      const { room_id } = await createRoom(app());
      for (const headers of [ELSEWHERE, { origin: 'https://evil.example' }]) {
        for (const [method, path] of [
          ['POST', '/api/rooms/create'],
          ['GET', `/api/rooms/${room_id}`],
        ] as const) {
          const { status, json } = await from(app(), method, path, headers as never);
          expect({ status, json }).toEqual({
            status: 401,
            json: { error: expect.stringContaining('access.anonymous') },
          });
        }
        await expect(openRoom(app().url, room_id, { headers: headers as never })).rejects.toThrow(
          /^401 /,
        );
      }
    });

    it('but with a bad one are sent away from here too', async () => {
      const { room_id } = await createRoom(app());
      for (const token of ['unknown', crypto.randomUUID(), 'fwk_x']) {
        const { status } = await app().call('GET', `/api/rooms/${room_id}`, undefined, token);
        expect(status).toBe(401);
      }
    });

    it('are welcome from everywhere, or not at all, as configured', async () => {
      const everyone = await startApp(kind, { config: { access: { anonymous: 'everyone' } } });
      expect((await from(everyone, 'POST', '/api/rooms/create', ELSEWHERE)).status).toBe(200);
      const nobody = await startApp(kind, { config: { access: { anonymous: 'nobody' } } });
      expect((await from(nobody, 'POST', '/api/rooms/create')).status).toBe(401);
      const { room_id, url } = await createRoom(nobody, nobody.admin.token);
      await expect(openRoom(nobody.url, room_id)).rejects.toThrow(/^401 /);
      await openRoom(nobody.url, room_id, { search: new URL(url).search });
    });
  });

  it('are no more than an account may have, or guests together', async () => {
    const small = await startApp(kind, { config: { rooms: { per_account: 2 } } });
    for (const token of [null, small.admin.token]) {
      await createRoom(small, token);
      await createRoom(small, token);
      const { status, json } = await small.call('POST', '/api/rooms/create', undefined, token);
      expect({ status, json }).toEqual({
        status: 409,
        json: { error: 'there are 2 rooms, the most' },
      });
    }
  });

  it('are asked for no more often than an address may', async () => {
    const app = await startApp(kind, {
      config: { features: { rate_limiting_enabled: true }, rooms: { burst: 3 } },
    });
    const { room_id } = await createRoom(app);
    await createRoom(app);
    await createRoom(app);
    for (let n = 0; n < 3; n += 1) {
      expect((await from(app, 'GET', `/api/rooms/${room_id}`)).status).toBe(200);
      await openRoom(app.url, room_id);
    }
    for (const [method, path] of [
      ['POST', '/api/rooms/create'],
      ['POST', '/compat/kaamos/api/rooms/create'],
      ['GET', `/api/rooms/${room_id}`],
    ] as const) {
      const { status, json, headers } = await from(app, method, path);
      expect({ status, json }).toEqual({ status: 429, json: LIMITED });
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(12);
    }
    await expect(openRoom(app.url, room_id)).rejects.toThrow(`429 ${JSON.stringify(LIMITED)}`);
    expect((await from(app, 'GET', '/compat/kaamos/health')).status).toBe(200);
  });

  it('end when they expire, and are deleted', async () => {
    let ahead = 0;
    const clock = { ...systemClock, now: () => Date.now() + ahead };
    const app = await startApp(kind, { clock });
    const { room_id } = await createRoom(app);
    const ann = await joinRoom(app.url, room_id, 'ann');
    ahead = 86_400_000 - 60_000;
    expect((await app.call('GET', `/api/rooms/${room_id}`)).status).toBe(200);
    ahead = 86_400_000;
    expect((await app.call('GET', `/api/rooms/${room_id}`)).status).toBe(404);
    await expect(openRoom(app.url, room_id)).rejects.toThrow(/^404 /);
    expect(await app.app.services.rooms.sweep()).toBe(1);
    expect(await ann.next('error')).toMatchObject({ data: { code: 'EXPIRED' } });
    expect((await ann.closed).code).toBe(4_010);
    expect(await app.app.services.rooms.sweep()).toBe(0);
  });

  it('come to be at the first join where the operator wants that', async () => {
    const app = await startApp(kind, { config: { rooms: { born_on_join: true } } });
    await joinRoom(app.url, 'my-room_1', 'ann');
    const { json } = await app.call('GET', '/api/rooms/my-room_1', undefined, null);
    expect(json).toMatchObject({ room_id: 'my-room_1', participants: 1 });
  });

  it('have links to where people reach the server', async () => {
    const public_url = 'https://fleet.example.com';
    const app = await startApp(kind, { config: { server: { public_url } } });
    const { room_id, url } = await createRoom(app);
    expect(url).toBe(`${public_url}/room/${room_id}`);
  });
});
