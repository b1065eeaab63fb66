import { describe, expect, it } from 'vitest';
import { startApp, type TestApp, useApp } from '../support/app.js';
import { startCuttingProxy } from '../support/cutting-proxy.js';
import { testDatabases } from '../support/databases.js';
import { describeWithWorker, watchEngine } from '../support/media.js';
import { camera, dtls, joinMedia, listen, type SessionClient } from '../support/media-session.js';
import { joinRoom } from '../support/room-client.js';
import { connect, replyOf, type TrpcClient } from '../support/trpc-client.js';
import { until } from '../support/until.js';

const kind = testDatabases[0]!;
const media = { workers: 1, rtc_port: 0, listen_ip: '127.0.0.1' };
/** From another machine, as far as the server can tell. */
const ELSEWHERE = { 'x-forwarded-for': '203.0.113.7' };

async function newRoom(app: TestApp, token?: string) {
  return connect(app, token).rooms.create.mutate();
}

async function newKey(app: TestApp, scopes: string[], robot_id?: string): Promise<string> {
  const { json } = await app.call('POST', '/api/v1/keys', { name: 'k', scopes, robot_id });
  return json.data.key;
}

/** Sends a camera; the DTLS handshake never comes, which signalling does not mind. */
async function send(client: TrpcClient, { session_id }: SessionClient, ssrc?: number) {
  const { transport_id } = await client.media.createTransport.mutate({
    session_id,
    direction: 'send',
  });
  await client.media.connectTransport.mutate({ session_id, transport_id, dtls_parameters: dtls });
  const sent = { session_id, transport_id, ...camera(ssrc), label: 'front' };
  return { transport_id, track: await client.media.produce.mutate(sent), sent };
}

/** Nobody's. */
const session_id = 'x'.repeat(32);
const transport_id = 'x';
const [track_id, consumer_id] = ['x', 'x'];
/** Every procedure in a session, called rightly. */
const calls: Record<string, object> = {
  enter: {},
  leave: {},
  createTransport: { direction: 'send' },
  connectTransport: { transport_id, dtls_parameters: dtls },
  restartIce: { transport_id },
  produce: { transport_id, ...camera() },
  closeTrack: { track_id },
  pauseTrack: { track_id },
  resumeTrack: { track_id },
  consume: { transport_id, track_id, rtp_capabilities: {} },
  pauseConsumer: { consumer_id },
  resumeConsumer: { consumer_id },
  closeConsumer: { consumer_id },
  setPreferredLayers: { consumer_id, spatial_layer: 0 },
};

/** The status of one call by its name. */
async function statusOf(client: TrpcClient, name: string, input: object): Promise<number> {
  if (name === 'events') {
    const joined = { session_id, ...input } as SessionClient;
    const error = await listen(client, joined).over;
    return (await replyOf(Promise.reject(error))).status;
  }
  // biome-ignore lint/suspicious/noExplicitAny: the name decides what the input is
  const procedure = (client.media as any)[name];
  return (await replyOf(procedure.mutate({ session_id, ...input }))).status;
}
const names = ['join', 'events', ...Object.keys(calls)];

describeWithWorker('signalling over tRPC', () => {
  const app = useApp(kind, { config: { media } });

  it('has all that mediasoup-client asks for', async () => {
    const { room_id } = await newRoom(app());
    const client = connect(app());
    const ann = await joinMedia(client, { room_id, user_id: 'ann', name: 'Ann' });
    const bob = await joinMedia(client, { room_id, user_id: 'bob' });
    expect(ann.rtp_capabilities.codecs?.map(({ mimeType }) => mimeType)).toContain('video/VP8');
    expect(bob.rtp_capabilities).toEqual(ann.rtp_capabilities);
    expect(await bob.next('state')).toEqual({
      type: 'state',
      participants: [
        { user_id: 'ann', name: 'Ann' },
        { user_id: 'bob', name: null },
      ],
      tracks: [],
      speakers: [],
    });

    const { track, sent, transport_id } = await send(client, ann);
    expect(track).toEqual({
      track_id: expect.any(String),
      user_id: 'ann',
      kind: 'video',
      label: 'front',
      paused: false,
    });
    expect(await bob.next('track')).toEqual({ type: 'track', track });
    const again = { ...sent, ...camera(2_222), request_id: 'r' };
    const second = await client.media.produce.mutate(again);
    expect(await client.media.produce.mutate(again)).toEqual(second);

    const { session_id } = bob;
    const recv = await client.media.createTransport.mutate({ session_id, direction: 'recv' });
    expect(recv.ice_candidates[0]).toMatchObject({ protocol: 'udp', ip: '127.0.0.1' });
    const { track_id } = track;
    const got = await client.media.consume.mutate({
      ...{ session_id, track_id, transport_id: recv.transport_id },
      rtp_capabilities: bob.rtp_capabilities,
    });
    expect(got).toMatchObject({ track, consumer_id: expect.any(String) });
    expect(got.rtp_parameters.codecs.map(({ payloadType }) => payloadType)).toEqual([96, 97]);
    const consumer = { session_id, consumer_id: got.consumer_id };
    await client.media.resumeConsumer.mutate(consumer);
    await client.media.setPreferredLayers.mutate({ ...consumer, spatial_layer: 0 });
    await client.media.pauseConsumer.mutate(consumer);
    await client.media.closeConsumer.mutate(consumer);
    expect(await replyOf(client.media.resumeConsumer.mutate(consumer))).toMatchObject({
      status: 404,
    });
    const { ice_parameters } = await client.media.restartIce.mutate({
      session_id,
      transport_id: recv.transport_id,
    });
    expect(ice_parameters.usernameFragment).not.toBe(recv.ice_parameters.usernameFragment);

    const own = { session_id: ann.session_id, track_id };
    await client.media.pauseTrack.mutate(own);
    expect((await bob.next('track_paused')).track).toEqual({ ...track, paused: true });
    await client.media.resumeTrack.mutate(own);
    expect((await bob.next('track_paused')).track).toEqual(track);
    await client.media.closeTrack.mutate(own);
    expect((await bob.next('track_ended')).track).toEqual(track);

    await client.media.leave.mutate({ session_id: ann.session_id });
    expect(await ann.next('ended')).toEqual({ type: 'ended', reason: 'left' });
    expect(await ann.over).toBeUndefined();
    expect((await bob.next('track_ended')).track.track_id).toBe(second.track_id);
    expect((await bob.next('participants')).participants).toEqual([{ user_id: 'bob', name: null }]);
    const late = { session_id: ann.session_id, transport_id };
    expect(await replyOf(client.media.restartIce.mutate(late))).toMatchObject({ status: 404 });
    await client.media.leave.mutate({ session_id });
    expect(app().app.services.mediaSessions.count()).toBe(0);
    expect(app().app.services.meetings.participants(room_id)).toEqual([]);
    await until(
      'the end of the members',
      () => app().app.media.room(`room:${room_id}`)!.members().length === 0,
    );
  });

  it('is in one room with clients that have a socket', async () => {
    const { room_id } = await newRoom(app());
    const client = connect(app());
    const ann = await joinMedia(client, { room_id, user_id: 'ann' });
    const bob = await joinRoom(app().url, room_id, 'ann');
    expect(bob.userId).toBe('ann~2');
    const both = [
      { user_id: 'ann', name: null },
      { user_id: 'ann~2', name: null },
    ];
    expect((await ann.next('participants')).participants).toEqual(both);
    const cora = await joinMedia(client, { room_id, user_id: 'cora' });
    expect((await cora.next('state')).participants).toHaveLength(3);
    await client.media.leave.mutate(ann);
    expect(await bob.next('leave')).toMatchObject({ from: 'ann' });
    bob.ws.close();
    expect(
      (await cora.next('participants', ({ participants }) => participants.length === 1))
        .participants,
    ).toEqual([{ user_id: 'cora', name: null }]);
  });

  it('tells each event once, however often the connection is cut', async () => {
    const { room_id } = await newRoom(app());
    let budget = 3_000;
    const proxy = await startCuttingProxy(app().url, () => {
      budget += 700;
      return proxy.cuts() < 4 ? budget : Infinity;
    });
    const direct = connect(app());
    const cut = listen(connect(proxy), await direct.media.join.mutate({ room_id, user_id: 'cut' }));
    await cut.next('state');
    const straight = await joinMedia(direct, { room_id, user_id: 'straight' });
    await straight.next('state');
    const { track, sent } = await send(direct, straight);
    const own = { session_id: straight.session_id, track_id: track.track_id };
    await until('four cuts', async () => {
      await direct.media.pauseTrack.mutate(own);
      await direct.media.resumeTrack.mutate(own);
      return proxy.cuts() >= 4;
    });
    await direct.media.produce.mutate({ ...sent, ...camera(9) });
    const ofSender = (client: SessionClient) =>
      client.heard.map(({ event }) => event).filter(({ type }) => type.startsWith('track'));
    await until('the last event', () => ofSender(cut).length === ofSender(straight).length);
    expect(ofSender(cut)).toEqual(ofSender(straight));
    expect(cut.heard.filter(({ event }) => event.type === 'state')).toHaveLength(1);
    expect(new Set(cut.heard.map(({ id }) => id)).size).toBe(cut.heard.length);
  });

  it('says how all is now to who has missed too much', async () => {
    const { room_id } = await newRoom(app());
    const client = connect(app());
    const ann = await joinMedia(client, { room_id, user_id: 'ann' });
    const { track } = await send(client, ann);
    await ann.next('track');
    const { id } = ann.heard.at(-1)!;
    ann.stop();
    const own = { session_id: ann.session_id, track_id: track.track_id };
    for (let n = 0; n < 150; n += 1) {
      await client.media.pauseTrack.mutate(own);
      await client.media.resumeTrack.mutate(own);
    }
    const back = listen(client, ann, id);
    expect((await back.next('state')).tracks).toEqual([track]);
    expect(await replyOf(Promise.reject(await listen(client, ann, 'x').over))).toMatchObject({
      status: 400,
    });
  });

  it('begins anew after the worker died, for the same participants', async () => {
    const engine = await watchEngine();
    const own = await startApp(kind, { config: { media } });
    const { room_id } = await newRoom(own);
    const client = connect(own);
    const ann = await joinMedia(client, { room_id, user_id: 'ann' });
    const bob = await joinMedia(client, { room_id, user_id: 'bob' });
    await send(client, ann);
    await bob.next('track');
    process.kill(engine.workers[0]!.pid!, 'SIGKILL');
    await Promise.all([ann.next('media_lost'), bob.next('media_lost')]);
    const { session_id } = ann;
    const early = client.media.createTransport.mutate({ session_id, direction: 'send' });
    expect(await replyOf(early)).toMatchObject({ status: 409 });
    const entered = await until('another worker', async () => {
      const { status, data } = await replyOf(client.media.enter.mutate({ session_id }));
      return status === 200 && data;
    });
    expect(entered).toEqual({ user_id: 'ann', rtp_capabilities: ann.rtp_capabilities });
    expect(await client.media.enter.mutate({ session_id })).toEqual(entered);
    await client.media.enter.mutate({ session_id: bob.session_id });
    expect(await bob.next('state')).toMatchObject({
      participants: [{ user_id: 'ann' }, { user_id: 'bob' }],
      tracks: [],
    });
    const { track } = await send(client, ann, 7);
    expect(await bob.next('track')).toEqual({ type: 'track', track });
  });

  describe('with robots', () => {
    async function newRobot(robot_id: string): Promise<void> {
      await app().call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' });
    }

    it('has them send, and others watch', async () => {
      const robot_id = 'r 1';
      await newRobot(robot_id);
      const robotKey = await newKey(app(), ['video:publish'], robot_id);
      const robot = connect(app(), robotKey);
      const viewer = connect(app(), app().admin.token);
      const sending = await joinMedia(robot, { robot_id, publish: true, name: 'front' });
      const watching = await joinMedia(viewer, { robot_id, name: 'Ann' });
      expect((await watching.next('state')).participants).toEqual([
        { user_id: sending.user_id, name: 'front' },
        { user_id: watching.user_id, name: 'Ann' },
      ]);
      const { track } = await send(robot, sending);
      expect(await watching.next('track')).toEqual({ type: 'track', track });
      expect(await replyOf(send(viewer, watching, 3))).toMatchObject({ status: 403 });
      expect(app().app.services.robotVideo.viewers(robot_id)).toBe(1);
      await viewer.media.leave.mutate(watching);
      expect(app().app.services.robotVideo.viewers(robot_id)).toBe(0);
      expect((await sending.next('participants')).participants).toHaveLength(2);
      expect((await sending.next('participants')).participants).toHaveLength(1);
      await robot.media.leave.mutate(sending);
      const { json } = await app().call('GET', '/api/v1/audit?action=room.join');
      expect(json.data.entries.slice(0, 2)).toMatchObject([
        { robot_id, outcome: 'ok', details: { name: 'Ann' } },
        { robot_id, outcome: 'ok', details: { name: 'front' } },
      ]);
    });

    it('keeps out whoever may not', async () => {
      await newRobot('r2');
      const stranger = await app().addAccount();
      const watcher = await newKey(app(), ['video:watch']);
      const join = async (input: { robot_id: string; publish?: boolean }, token?: string) =>
        (await replyOf(connect(app(), token).media.join.mutate(input))).status;
      expect(await join({ robot_id: 'r2' })).toBe(401);
      expect(await join({ robot_id: 'r2' }, stranger.token)).toBe(403);
      expect(await join({ robot_id: 'nobody' }, watcher)).toBe(404);
      expect(await join({ robot_id: 'r2', publish: true }, watcher)).toBe(403);
      expect(await join({ robot_id: 'r2' }, await newKey(app(), ['rooms:join']))).toBe(403);
      expect(await join({ robot_id: 'r2' }, watcher)).toBe(200);
    });

    it('ends with the robot', async () => {
      await newRobot('r3');
      const client = connect(app(), app().admin.token);
      const watching = await joinMedia(client, { robot_id: 'r3' });
      await client.robots.delete.mutate({ robot_id: 'r3', confirm: 'r3' });
      expect(await watching.next('ended')).toEqual({ type: 'ended', reason: 'expired' });
    });
  });

  describe('ends', () => {
    it('for who joins again with the same credential and name', async () => {
      const { room_id } = await newRoom(app(), app().admin.token);
      const client = connect(app(), app().admin.token);
      const first = await joinMedia(client, { room_id, user_id: 'ann' });
      const second = await joinMedia(client, { room_id, user_id: 'ann' });
      expect(second.user_id).toBe('ann');
      expect(await first.next('ended')).toEqual({ type: 'ended', reason: 'replaced' });
    });

    it('soon after its key is revoked', async () => {
      const { room_id } = await newRoom(app(), app().admin.token);
      const { json } = await app().call('POST', '/api/v1/keys', { name: 'k' });
      const ann = await joinMedia(connect(app(), json.data.key), { room_id });
      await app().call('DELETE', `/api/v1/keys/${json.data.id}`);
      expect(await ann.next('ended')).toEqual({ type: 'ended', reason: 'expired' });
      expect(app().app.services.meetings.participants(room_id)).toEqual([]);
    });

    it('with its room', async () => {
      const { room_id } = await newRoom(app());
      const ann = await joinMedia(connect(app()), { room_id });
      app().app.services.meetings.end(room_id, 'expired');
      expect(await ann.next('ended')).toEqual({ type: 'ended', reason: 'expired' });
    });
  });

  describe('keeps out', () => {
    it('nobody from all there is', async () => {
      const { appRouter } = await import('../../src/routers/index.js');
      const all = Object.keys(appRouter._def.procedures).filter((name) =>
        name.startsWith('media.'),
      );
      expect(names.map((name) => `media.${name}`).sort()).toEqual(all.sort());
    });

    it.each(names)('of media.%s whoever may not', async (name) => {
      const { room_id } = await newRoom(app(), app().admin.token);
      const input = name === 'join' ? { room_id } : (calls[name] ?? {});
      const status = (token?: string) => statusOf(connect(app(), token), name, input);
      expect(await status(crypto.randomUUID())).toBe(401);
      expect(await status(await newKey(app(), ['robots:read']))).toBe(403);
      const stranger = await app().addAccount();
      expect(await status(stranger.token)).toBe(404);
      const admin = connect(app(), app().admin.token);
      if (name === 'join') {
        expect(await statusOf(admin, name, {})).toBe(400);
        expect(await statusOf(admin, name, { room_id, robot_id: 'r' })).toBe(400);
        expect(await statusOf(admin, name, { room_id: 'a b' })).toBe(400);
        return;
      }
      expect(await status(app().admin.token)).toBe(404);
      const joined = await admin.media.join.mutate({ room_id });
      const own = { ...input, session_id: joined.session_id };
      const others = [undefined, stranger.token, await newKey(app(), ['rooms:join'])];
      for (const token of others) {
        expect(await statusOf(connect(app(), token), name, own)).toBe(404);
      }
      await admin.media.leave.mutate(joined);
    });

    it('guests from elsewhere, of every call', async () => {
      const { room_id } = await newRoom(app());
      for (const name of names.filter((name) => name !== 'events')) {
        const input = { session_id, ...(name === 'join' ? { room_id } : calls[name]) };
        const answer = await fetch(`${app().url}/trpc/media.${name}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...ELSEWHERE },
          body: JSON.stringify(input),
        });
        expect([name, answer.status]).toEqual([name, 401]);
      }
    });

    it('holders of the pass of another room', async () => {
      const mine = await newRoom(app(), app().admin.token);
      const other = await newRoom(app(), app().admin.token);
      const guest = connect(app(), mine.pass!);
      const { room_id } = mine;
      const joined = await joinMedia(guest, { room_id });
      expect((await replyOf(guest.media.join.mutate({ room_id: other.room_id }))).status).toBe(404);
      const stolen = connect(app(), other.pass!).media.leave.mutate(joined);
      expect((await replyOf(stolen)).status).toBe(404);
      await guest.media.leave.mutate(joined);
    });

    it('what is no object of mediasoup', async () => {
      const { room_id } = await newRoom(app());
      const client = connect(app());
      const ann = await joinMedia(client, { room_id });
      const { session_id } = ann;
      const { transport_id } = await client.media.createTransport.mutate({
        session_id,
        direction: 'send',
      });
      const good = camera().rtp_parameters;
      const [codec] = good.codecs;
      for (const [index, rtp_parameters] of [
        { ...good, codecs: Array(101).fill(codec) },
        { ...good, codecs: [{ ...codec, payloadType: 1_000 }] },
        { ...good, codecs: [{ ...codec, parameters: { deep: {} } }] },
        { ...good, codecs: [{ ...codec, mimeType: 'x'.repeat(1_000) }] },
        { ...good, codecs: [] },
        { ...good, codecs: [{ ...codec, mimeType: 'video/AV9' }] },
      ].entries()) {
        const call = { session_id, transport_id, kind: 'video' as const, rtp_parameters };
        const { status } = await replyOf(client.media.produce.mutate(call as never));
        expect({ index, status }).toEqual({ index, status: 400 });
      }
      for (const fingerprints of [[], [{ algorithm: 'sha-256', value: 'x' }]]) {
        const call = { session_id, transport_id, dtls_parameters: { fingerprints } };
        expect((await replyOf(client.media.connectTransport.mutate(call as never))).status).toBe(
          400,
        );
      }
      await client.media.leave.mutate({ session_id });
    });
  });
});

describeWithWorker('the limits of signalling', () => {
  it('count every call', async () => {
    const app = await startApp(kind, {
      config: {
        media,
        features: { rate_limiting_enabled: true },
        limits: { requests_per_second: 1 },
      },
    });
    const client = connect(app, app.admin.token);
    for (const name of names) {
      const input = name === 'join' ? { room_id: 'nosuchroom' } : (calls[name] ?? {});
      const call = () => statusOf(client, name, input);
      // Three, since a second may end between the first and the next.
      const statuses = await Promise.all([call(), call(), call()]);
      expect([name, ...statuses]).toContain(429);
    }
  });

  it('are how many sessions an address has, and how often it enters rooms', async () => {
    const app = await startApp(kind, { config: { media, limits: { sockets_per_ip: 2 } } });
    const { room_id } = await newRoom(app);
    const client = connect(app);
    const joined = [
      await client.media.join.mutate({ room_id }),
      await client.media.join.mutate({ room_id }),
    ];
    expect(await replyOf(client.media.join.mutate({ room_id }))).toMatchObject({
      status: 429,
      error: 'At most 2 media sessions from one address',
    });
    await client.media.leave.mutate(joined[0]!);
    await client.media.join.mutate({ room_id });
    expect((await replyOf(client.media.join.mutate({ room_id: 'nosuchroom' }))).status).toBe(429);

    const hasty = await startApp(kind, {
      config: { media, features: { rate_limiting_enabled: true }, rooms: { burst: 1 } },
    });
    const room = await newRoom(hasty);
    await connect(hasty).media.join.mutate({ room_id: room.room_id });
    const second = connect(hasty).media.join.mutate({ room_id: room.room_id });
    expect(await replyOf(second)).toMatchObject({ status: 429 });
  });

  it('are those of the engine', async () => {
    const app = await startApp(kind, { config: { media } });
    const { room_id } = await newRoom(app);
    const client = connect(app);
    const { session_id } = await client.media.join.mutate({ room_id });
    const open = () => client.media.createTransport.mutate({ session_id, direction: 'send' });
    for (let n = 0; n < 4; n += 1) await open();
    expect(await replyOf(open())).toEqual({
      status: 429,
      error: 'A member may have 4 transports at once',
    });
  });

  it('are those of the room', async () => {
    const app = await startApp(kind, { config: { media, rooms: { max_members: 2 } } });
    const { room_id } = await newRoom(app);
    const client = connect(app);
    await client.media.join.mutate({ room_id });
    await joinRoom(app.url, room_id);
    expect(await replyOf(client.media.join.mutate({ room_id }))).toMatchObject({ status: 409 });
    expect(app.app.services.mediaSessions.count()).toBe(1);
  });

  it('are a clear answer where there is no worker', async () => {
    const app = await startApp(kind, { config: { media: { ...media, enabled: false } } });
    const { room_id } = await newRoom(app);
    const refused = await replyOf(connect(app).media.join.mutate({ room_id }));
    expect(refused).toEqual({
      status: 503,
      error: 'Video is not available: media.enabled is false',
    });
    expect(app.app.services.meetings.participants(room_id)).toEqual([]);
    expect(app.app.services.mediaSessions.count()).toBe(0);
  });
});
