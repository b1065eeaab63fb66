import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startApp, useApp } from '../support/app.js';
import { describeEachDatabase, testDatabases } from '../support/databases.js';
import { createStoppedClock } from '../support/identity.js';
import { joinRoom, openRoom, type RoomClient } from '../support/room-client.js';
import { until } from '../support/until.js';

const KEY = 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=';
const STAMP = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
const error = (code: string) => ({
  ...{ type: 'error', room_id: expect.any(String), timestamp: STAMP },
  data: { code, message: expect.stringMatching(/^[^\n]{5,200}$/) },
});

describeEachDatabase('the sockets of rooms', (kind) => {
  const app = useApp(kind);

  async function newRoom(): Promise<string> {
    return (await app().call('POST', '/api/rooms/create', undefined, null)).json.room_id;
  }

  async function joined(...userIds: string[]): Promise<(RoomClient & { userId: string })[]> {
    const roomId = await newRoom();
    const clients = [];
    for (const userId of userIds) clients.push(await joinRoom(app().url, roomId, userId));
    return clients;
  }

  /** What has come by the time that everything sent before has been answered. */
  async function settle(client: RoomClient): Promise<void> {
    client.say({ type: 'settle' });
    await until('the answer to the last frame', () =>
      client.frames.some(({ data }) => data?.message === 'There is no type "settle"'),
    );
  }

  it('acknowledge a join before anything else', async () => {
    const room_id = await newRoom();
    const { frames, userId } = await joinRoom(app().url, room_id, 'user_123');
    expect(userId).toBe('user_123');
    expect(frames[0]).toEqual({ type: 'join', user_id: 'user_123', room_id, timestamp: STAMP });
  });

  it('give a name to who has none, and another to who comes second', async () => {
    const roomId = await newRoom();
    const names = [];
    for (const name of [undefined, 'ann', 'ann', 'ann', 'all']) {
      names.push((await joinRoom(app().url, roomId, name)).userId);
    }
    expect(names).toEqual([
      expect.stringMatching(/^[0-9a-f]{16}$/),
      ...['ann', 'ann~2', 'ann~3', 'all~2'],
    ]);
  });

  it('let who comes again with the same credential take the place over', async () => {
    const roomId = await newRoom();
    const search = `?token=${app().admin.token}`;
    const first = await joinRoom(app().url, roomId, 'ann', { search });
    const second = await joinRoom(app().url, roomId, 'ann', { search });
    expect(second.userId).toBe('ann');
    expect(await first.next('error')).toEqual(error('REPLACED'));
    expect((await first.closed).code).toBe(4_009);
    const guest = await joinRoom(app().url, roomId, 'ann');
    expect(guest.userId).toBe('ann~2');
    const { token } = await app().addAccount();
    const other = await joinRoom(app().url, roomId, 'ann', { search: `?token=${token}` });
    expect(other.userId).toBe('ann~3');
  });

  it('tell the others when somebody goes, by whichever way', async () => {
    const [ann, bob, cora] = await joined('ann', 'bob', 'cora');
    bob!.ws.terminate();
    cora!.say({ type: 'leave' });
    expect((await cora!.closed).code).toBe(1_000);
    const left = [await ann!.next('leave'), await ann!.next('leave')];
    expect(left.map(({ from }) => from).sort()).toEqual(['bob', 'cora']);
    expect(left[0]).toEqual({
      ...{ type: 'leave', from: expect.any(String), room_id: expect.any(String), timestamp: STAMP },
    });
  });

  it('answer what they cannot follow, and go on', async () => {
    const client = await openRoom(app().url, await newRoom());
    for (const [frame, code] of [
      [{ type: 'offer', data: { sdp: 'v=0' } }, 'NOT_JOINED'],
      [{ type: 'encrypted', data: { to: 'x', payload: 'y' } }, 'NOT_JOINED'],
      ['{', 'INVALID_MESSAGE'],
      [{ type: 'knock' }, 'UNKNOWN_TYPE'],
      [{ type: 'join', user_id: 'ann' }, undefined],
      [{ type: 'join', user_id: 'ann' }, 'ALREADY_JOINED'],
      [{ type: 'key-exchange', data: { public_key: '<' } }, 'INVALID_PUBLIC_KEY'],
      [{ type: 'encrypted', data: { to: 'nobody', payload: 'y' } }, 'UNKNOWN_USER'],
      [{ type: 'offer', data: { sdp: 'x'.repeat(65_537) } }, 'SDP_TOO_LARGE'],
      [{ type: 'ice-candidate', data: { candidate: 'x' } }, undefined],
    ] as const) {
      client.say(frame);
      if (code) expect(await client.next('error')).toEqual(error(code));
    }
    await settle(client);
    expect(client.ws.readyState).toBe(WebSocket.OPEN);
  });

  it('close those of a client that sends more than a frame may hold', async () => {
    const [ann, bob] = await joined('ann', 'bob');
    const payload = 'x'.repeat(262_000);
    ann!.say({ type: 'encrypted', data: { to: 'bob', payload } });
    expect((await bob!.next('encrypted')).data.payload).toBe(payload);
    ann!.say({ type: 'encrypted', data: { to: 'bob', payload: `${payload}${'x'.repeat(200)}` } });
    expect((await ann!.closed).code).toBe(1_009);
    expect((await bob!.next('leave')).from).toBe('ann');
  });

  it('carry keys to everybody, in the words of each', async () => {
    const [ann, bob] = await joined('ann', 'bob');
    bob!.say({ type: 'ice_candidate', data: {} });
    ann!.say({ type: 'key-exchange', data: { public_key: KEY } });
    expect(await bob!.next('key_exchange')).toEqual({
      ...{ type: 'key_exchange', from: 'ann', data: { public_key: KEY } },
      ...{ room_id: expect.any(String), timestamp: STAMP },
    });
    for (const one of [ann!, bob!]) {
      expect((await one.next('public_keys')).data).toEqual({ keys: { ann: KEY } });
    }
    bob!.say({ type: 'key_exchange', data: { public_key: 'abcd' } });
    expect((await ann!.next('key-exchange')).from).toBe('bob');
    expect((await ann!.next('public_keys')).data).toEqual({ keys: { ann: KEY, bob: 'abcd' } });

    const roomId = ann!.frames[0].room_id;
    const cora = await joinRoom(app().url, roomId, 'cora');
    expect((await cora.next('public_keys')).data).toEqual({ keys: { ann: KEY, bob: 'abcd' } });
    expect(cora.frames.map(({ type }) => type)).toEqual(['join', 'public_keys']);
    await settle(ann!);
    expect(ann!.frames.filter(({ type }) => type === 'key-exchange')).toHaveLength(1);
    ann!.ws.close();
    expect((await cora.next('leave')).from).toBe('ann');
    expect((await cora.next('public_keys')).data).toEqual({ keys: { bob: 'abcd' } });
  });

  it('carry sealed frames to their addressee alone, unread', async () => {
    const [ann, bob, cora] = await joined('ann', 'bob', 'cora');
    const data = { to: 'bob', payload: { iv: 'x', text: ['ä', 1] }, more: null };
    ann!.say({ type: 'encrypted', data, from: 'cora' });
    expect(await bob!.next('encrypted')).toEqual({
      ...{ type: 'encrypted', from: 'ann', data, room_id: expect.any(String), timestamp: STAMP },
    });
    ann!.say({ type: 'encrypted_data', data: { to: 'all', payload: 'p' } });
    for (const one of [bob!, cora!]) {
      expect(await one.next('encrypted')).toMatchObject({ from: 'ann', data: { payload: 'p' } });
    }
    for (const one of [ann!, cora!]) await settle(one);
    expect(ann!.frames.filter(({ type }) => type.startsWith('encrypted'))).toEqual([]);
    expect(cora!.frames.filter(({ type }) => type === 'encrypted')).toHaveLength(1);
  });

  it('carry nothing from one room to another', async () => {
    const [[ann], [eve]] = [await joined('ann'), await joined('eve')];
    eve!.say({ type: 'encrypted', data: { to: 'ann', payload: 'p' } });
    expect(await eve!.next('error')).toEqual(error('UNKNOWN_USER'));
    eve!.say({ type: 'encrypted', data: { to: 'all', payload: 'p' } });
    eve!.say({ type: 'key-exchange', data: { public_key: KEY } });
    await settle(eve!);
    eve!.ws.close();
    await eve!.closed;
    await settle(ann!);
    expect(ann!.frames.map(({ type }) => type)).toEqual(['join', 'error']);
  });

  it('say who is there to those who ask', async () => {
    const roomId = await newRoom();
    const ann = await openRoom(app().url, roomId);
    ann.say({ type: 'join', data: { user_id: 'ann', name: 'Ann', participants: true } });
    const bob = await joinRoom(app().url, roomId, 'bob');
    bob.ws.close();
    const seen = [];
    for (let n = 0; n < 3; n += 1) seen.push((await ann.next('participants')).data.participants);
    const [a, b] = [
      { user_id: 'ann', name: 'Ann' },
      { user_id: 'bob', name: null },
    ];
    expect(seen).toEqual([[a], [a, b], [a]]);
    expect(bob.frames.map(({ type }) => type)).toEqual(['join']);
  });

  it('refuse a slug that is none, and a room that is none, before the upgrade', async () => {
    await expect(openRoom(app().url, 'a%20b')).rejects.toThrow('400 {"error":"invalid room slug"}');
    await expect(openRoom(app().url, 'nosuchroom')).rejects.toThrow(
      '404 {"error":"room not found"}',
    );
    const answer = await app().call('GET', `/ws/${await newRoom()}`, undefined, null);
    const { status, json } = answer;
    expect({ status, json }).toEqual({
      status: 426,
      json: { error: 'this address takes WebSockets' },
    });
    expect(answer.headers.get('upgrade')).toBe('websocket');
  });
});

const [sqlite] = testDatabases;

describe('the limits of rooms', () => {
  it('turn away whoever is one too many', async () => {
    const app = await startApp(sqlite!, { config: { rooms: { max_members: 2 } } });
    const roomId = (await app.call('POST', '/api/rooms/create')).json.room_id;
    const search = `?token=${app.admin.token}`;
    const first = await joinRoom(app.url, roomId, 'ann', { search });
    await joinRoom(app.url, roomId, 'bob', { search });
    const third = await openRoom(app.url, roomId, { search });
    third.say({ type: 'join', user_id: 'cora' });
    expect(await third.next('error')).toEqual(error('ROOM_FULL'));
    expect((await third.closed).code).toBe(4_003);
    first.ws.close();
    await first.closed;
    await joinRoom(app.url, roomId, 'cora', { search });
  });

  it('drop frames that come too fast, and say so once', async () => {
    const app = await startApp(sqlite!, {
      clock: createStoppedClock(),
      config: { features: { rate_limiting_enabled: true } },
    });
    const roomId = (await app.call('POST', '/api/rooms/create')).json.room_id;
    const search = `?token=${app.admin.token}`;
    const ann = await joinRoom(app.url, roomId, 'ann', { search });
    const bob = await joinRoom(app.url, roomId, 'bob', { search });
    for (let n = 0; n < 60; n += 1) ann.say({ type: 'encrypted', data: { to: 'bob', payload: n } });
    expect(await ann.next('error')).toEqual(error('RATE_LIMITED'));
    ann.ws.close();
    expect((await bob.next('leave')).from).toBe('ann');
    expect(bob.frames.filter(({ type }) => type === 'encrypted')).toHaveLength(49);
    expect(ann.frames.filter(({ type }) => type === 'error')).toHaveLength(1);
  });

  it('hold for the sockets of one address', async () => {
    const app = await startApp(sqlite!, { config: { limits: { sockets_per_ip: 2 } } });
    const roomId = (await app.call('POST', '/api/rooms/create', undefined, null)).json.room_id;
    const first = await openRoom(app.url, roomId);
    await openRoom(app.url, roomId);
    await expect(openRoom(app.url, roomId)).rejects.toThrow(/^429 /);
    first.ws.close();
    await first.closed;
    await until('a place', () => openRoom(app.url, roomId).catch(() => false));
  });

  it('end with the server, which says so', async () => {
    const app = await startApp(sqlite!);
    const roomId = (await app.call('POST', '/api/rooms/create', undefined, null)).json.room_id;
    const ann = await joinRoom(app.url, roomId, 'ann');
    await app.close();
    expect((await ann.closed).code).toBe(1_012);
  });
});
