import type { RtpCapabilities } from 'mediasoup/types';
import { expect, it } from 'vitest';
import type { MediaMember, MediaRoom } from '../../src/media/provider.js';
import { createStoppedClock } from '../support/identity.js';
import {
  describeWithWorker,
  type Engine,
  listenTo,
  memberSpec,
  openRtpSender,
  startMedia,
  watchEngine,
} from '../support/media.js';
import { until } from '../support/until.js';

const ROOM = { maxMembers: 10 };
const STRANGER = 1;
const ROBOT = 2;
const FINGERPRINT = { algorithm: 'sha-256', value: Array(32).fill('AB').join(':') } as const;
const ANYWHERE = { plainRtpPorts: { min: 40_400, max: 40_499 } };

/** As mediasoup-client sends it for a camera. */
function camera(ssrc = 1_111) {
  return {
    kind: 'video' as const,
    rtpParameters: {
      mid: String(ssrc),
      codecs: [{ mimeType: 'video/VP8', payloadType: 100, clockRate: 90_000 }],
      encodings: [{ ssrc }],
    },
  };
}

async function openRoom(media = startMedia()): Promise<MediaRoom> {
  return media.openRoom('a', ROOM);
}

async function joinNative(room: MediaRoom, id: string) {
  const member = await room.join(memberSpec(id));
  const native = member.native!;
  return { member, native, rtpCapabilities: native.rtpCapabilities };
}

describeWithWorker('members with mediasoup-client', () => {
  it('send what others get, with the numbers of libwebrtc', async () => {
    const room = await openRoom();
    const heard = listenTo(room);
    const a = await joinNative(room, 'a');
    const b = await joinNative(room, 'b');
    const numbers = a.rtpCapabilities.codecs!.map(
      ({ mimeType, preferredPayloadType, parameters }) => [
        mimeType,
        preferredPayloadType,
        parameters!.apt,
      ],
    );
    expect(numbers).toEqual([
      ['audio/opus', 111, undefined],
      ['video/VP8', 96, undefined],
      ['video/rtx', 97, 96],
      ['video/H264', 108, undefined],
      ['video/rtx', 109, 108],
    ]);

    const send = await a.native.createTransport('send');
    expect(send.iceCandidates).toMatchObject([
      { protocol: 'udp', ip: '127.0.0.1' },
      { protocol: 'tcp', ip: '127.0.0.1' },
    ]);
    await a.native.connect(send.transportId, { role: 'client', fingerprints: [FINGERPRINT] });
    const track = await a.native.produce({
      transportId: send.transportId,
      ...camera(),
      label: 'front',
    });
    const { trackId } = track;
    expect(track).toEqual({ trackId, memberId: 'a', kind: 'video', label: 'front', paused: false });
    expect(room.tracks()).toEqual([track]);

    const recv = await b.native.createTransport('recv');
    const got = await b.native.consume({
      transportId: recv.transportId,
      trackId,
      rtpCapabilities: b.rtpCapabilities,
    });
    expect(got.track).toEqual(track);
    expect(got.rtpParameters.codecs.map(({ payloadType }) => payloadType)).toEqual([96, 97]);
    await b.native.setPreferredLayers(got.consumerId, { spatialLayer: 0 });
    await b.native.resume(got.consumerId);
    await b.native.pause(got.consumerId);
    expect((await b.native.restartIce(recv.transportId)).usernameFragment).not.toBe(
      recv.iceParameters.usernameFragment,
    );

    await a.native.closeTrack(trackId);
    await until('the end of its consumer', () =>
      b.native.resume(got.consumerId).then(
        () => false,
        ({ reason }) => reason === 'unknown_track',
      ),
    );
    expect(heard.slice(2)).toEqual([
      ['track', track],
      ['trackEnd', track],
    ]);
    expect(room.tracks()).toEqual([]);
  });

  it('get the first track again when they repeat a request', async () => {
    const { native } = await joinNative(await openRoom(), 'a');
    const { transportId } = await native.createTransport('send');
    const spec = { transportId, ...camera(), requestId: 'r1' };
    const [one, two] = await Promise.all([native.produce(spec), native.produce(spec)]);
    expect(two).toEqual(one);
    expect(await native.produce(spec)).toEqual(one);
    await native.closeTrack(one.trackId);
    expect((await native.produce(spec)).trackId).not.toBe(one.trackId);
  });

  it('are held to what they may do, and to what is theirs', async () => {
    const room = await openRoom();
    const a = await joinNative(room, 'a');
    const send = await a.native.createTransport('send');
    const recv = await a.native.createTransport('recv');
    const { trackId } = await a.native.produce({ transportId: send.transportId, ...camera() });

    const viewerSpec = { grants: { publish: false, subscribe: true, record: false } };
    const viewer = (await room.join(memberSpec('viewer', viewerSpec))).native!;
    const robotSpec = { grants: { publish: true, subscribe: false, record: false } };
    const robot = (await room.join(memberSpec('robot', robotSpec))).native!;
    const viewerSend = await viewer.createTransport('send');
    const robotRecv = await robot.createTransport('recv');
    const { rtpCapabilities } = a;

    const refused: [reason: string, work: () => Promise<unknown>][] = [
      ['not_permitted', () => viewer.produce({ ...viewerSend, ...camera() })],
      ['not_permitted', () => robot.consume({ ...robotRecv, trackId, rtpCapabilities })],
      ['unknown_transport', () => viewer.produce({ ...send, ...camera() })],
      [
        'unknown_transport',
        () => viewer.connect(send.transportId, { fingerprints: [FINGERPRINT] }),
      ],
      ['unknown_transport', () => viewer.restartIce('nowhere')],
      ['unknown_track', () => viewer.closeTrack(trackId)],
      ['unknown_track', () => viewer.resume('nothing')],
      ['unknown_track', () => a.native.consume({ ...recv, trackId: 'nothing', rtpCapabilities })],
      ['wrong_state', () => a.native.produce({ ...recv, ...camera(2) })],
      ['wrong_state', () => a.native.consume({ ...send, trackId, rtpCapabilities })],
      ['bad_media', () => a.native.produce({ ...send, ...camera() })],
      ['bad_media', () => a.native.connect(send.transportId, { fingerprints: [] })],
      ['bad_media', () => a.native.consume({ ...recv, trackId, rtpCapabilities: {} })],
    ];
    for (const [index, [reason, work]] of refused.entries()) {
      await expect(work(), `case ${index}`).rejects.toMatchObject({ reason });
    }
    expect(room.tracks()).toHaveLength(1);
  });

  it('are limited in transports, tracks and consumers', async () => {
    const room = await openRoom();
    const { native, member, rtpCapabilities } = await joinNative(room, 'a');
    const opened = await Promise.allSettled(
      Array.from({ length: 5 }, () => native.createTransport('send')),
    );
    expect(opened.map(({ status }) => status)).toEqual([...Array(4).fill('fulfilled'), 'rejected']);
    await expect(native.createTransport('send')).rejects.toMatchObject({ reason: 'too_many' });
    const [first] = opened;
    if (first?.status !== 'fulfilled') throw new Error('no transport');
    const { transportId } = first.value;
    const made = await Promise.allSettled(
      Array.from({ length: 9 }, (_, index) =>
        native.produce({ transportId, ...camera(index + 1) }),
      ),
    );
    expect(made.map(({ status }) => status)).toEqual([...Array(8).fill('fulfilled'), 'rejected']);
    expect(room.tracks()).toHaveLength(8);
    await native.closeTrack(room.tracks()[0]!.trackId);
    await native.produce({ transportId, ...camera(10) });

    const b = await joinNative(room, 'b');
    const recv = await b.native.createTransport('recv');
    const { trackId } = room.tracks()[0]!;
    const consumed = await Promise.allSettled(
      Array.from({ length: 201 }, () => b.native.consume({ ...recv, trackId, rtpCapabilities })),
    );
    expect(consumed.filter(({ status }) => status === 'fulfilled')).toHaveLength(200);

    await member.leave();
    expect(room.tracks()).toEqual([]);
    await expect(native.createTransport('send')).rejects.toMatchObject({ reason: 'closed' });
    await expect(native.produce({ transportId, ...camera() })).rejects.toMatchObject({
      reason: 'unknown_transport',
    });
  });

  it('can be muted by others, in what they send now and later', async () => {
    const room = await openRoom();
    const { native, member } = await joinNative(room, 'a');
    const { transportId } = await native.createTransport('send');
    const first = await native.produce({ transportId, ...camera(1) });
    const heard = listenTo(room);
    await member.mute('video', true);
    await member.mute('video', true);
    await member.mute('audio', true);
    const second = await native.produce({ transportId, ...camera(2) });
    expect(room.tracks().map(({ paused }) => paused)).toEqual([true, true]);
    await Promise.all([
      member.mute('video', false),
      member.mute('video', true),
      member.mute('video', false),
    ]);
    expect(room.tracks().map(({ paused }) => paused)).toEqual([false, false]);
    expect(heard.slice(0, 2)).toEqual([
      ['trackPaused', { ...first, paused: true }],
      ['track', { ...second, paused: true }],
    ]);
    const last = heard.filter(([, value]) => (value as typeof first).trackId === first.trackId);
    expect(last.at(-1)).toEqual(['trackPaused', first]);
  });

  it('mute what they send themselves, and cannot undo what others muted', async () => {
    const room = await openRoom();
    const { native, member } = await joinNative(room, 'a');
    const { transportId } = await native.createTransport('send');
    const { trackId } = await native.produce({ transportId, ...camera(1) });
    await native.produce({ transportId, ...camera(2) });
    const paused = () => room.tracks().map((track) => track.paused);
    await native.pauseTrack(trackId);
    expect(paused()).toEqual([true, false]);
    await member.mute('video', true);
    await native.resumeTrack(trackId);
    expect(paused()).toEqual([true, true]);
    await native.pauseTrack(trackId);
    await member.mute('video', false);
    expect(paused()).toEqual([true, false]);
    const other = (await joinNative(room, 'b')).native;
    await expect(other.resumeTrack(trackId)).rejects.toMatchObject({ reason: 'unknown_track' });
    await native.resumeTrack(trackId);
    expect(paused()).toEqual([false, false]);
    const { trackId: third } = await native.produce({ transportId, ...camera(3), paused: true });
    expect(paused()).toEqual([false, false, true]);
    await native.resumeTrack(third);
    expect(paused()).toEqual([false, false, false]);
  });
});

describeWithWorker('robots that send plain RTP', () => {
  /** What a viewer in this process gets: every packet that the room forwards. */
  async function watchPackets(engine: Engine, trackId: string, rtpCapabilities: RtpCapabilities) {
    const transport = await engine.routers.at(-1)!.createDirectTransport();
    const consumer = await transport.consume({ producerId: trackId, rtpCapabilities });
    const packets: Buffer[] = [];
    consumer.on('rtp', (packet) => packets.push(packet));
    return { packets, consumer };
  }

  async function start(options: Parameters<typeof startMedia>[0] = {}) {
    const engine = await watchEngine();
    const room = await openRoom(startMedia({ ...ANYWHERE, ...options }));
    const robot = await room.join(memberSpec('robot'));
    return { engine, room, robot, heard: listenTo(room), ingest: robot.ingest! };
  }

  function open(robot: MediaMember, from = '127.0.0.1') {
    return robot.ingest!.open({ kind: 'video', codec: 'VP8', from, label: 'front' });
  }

  it('are not allowed unless the configuration says so', async () => {
    const media = startMedia();
    expect(media.can.plainRtp).toBe(false);
    expect((await (await openRoom(media)).join(memberSpec('robot'))).ingest).toBeUndefined();
  });

  it('are seen from their first packet on', async () => {
    const { engine, room, robot, heard } = await start();
    const target = await open(robot);
    expect(target).toMatchObject({ address: '127.0.0.1', payloadType: 96 });
    for (const port of [target.rtpPort, target.rtcpPort]) {
      expect(port).toBeGreaterThanOrEqual(40_400);
      expect(port).toBeLessThanOrEqual(40_499);
    }
    expect(target.rtcpPort).not.toBe(target.rtpPort);
    expect(room.tracks()).toEqual([]);

    const sender = await openRtpSender(target);
    await sender.sendReport(target.rtcpPort);
    await sender.send(target.rtpPort);
    await until('the track', () => room.tracks().length === 1);
    expect(heard).toEqual([['track', target.track]]);
    const viewer = await watchPackets(engine, target.track.trackId, robot.native!.rtpCapabilities);
    await until('packets', async () => {
      await sender.send(target.rtpPort);
      return viewer.packets.length >= 3;
    });
    expect(viewer.packets.every((packet) => (packet[1]! & 0x7f) === 96)).toBe(true);

    await robot.ingest!.close(target.track.trackId);
    expect(room.tracks()).toEqual([]);
    await until('the end of its consumer', () => viewer.consumer.closed);
    await expect(robot.ingest!.close(target.track.trackId)).rejects.toMatchObject({
      reason: 'unknown_track',
    });
  });

  it('are asked for key frames once for a burst of viewers, and once more for late ones', async () => {
    const { engine, room, robot } = await start();
    const target = await open(robot);
    const sender = await openRtpSender(target);
    await sender.sendReport(target.rtcpPort);
    await sender.send(target.rtpPort);
    await until('the track', () => room.tracks().length === 1);
    const { rtpCapabilities } = robot.native!;
    // In the time of the worker, since this process may be late to hear of them.
    const askedAt: number[] = [];
    const [producer] = engine.producers;
    await producer!.enableTraceEvent(['pli']);
    producer!.on('trace', ({ timestamp }) => askedAt.push(timestamp));
    for (let index = 0; index < 5; index += 1) {
      await watchPackets(engine, target.track.trackId, rtpCapabilities);
    }
    await until('the request', () => sender.requests() === 1);
    await sender.send(target.rtpPort);
    for (let index = 0; index < 5; index += 1) {
      await watchPackets(engine, target.track.trackId, rtpCapabilities);
    }
    await until('the second request', () => sender.requests() === 2);
    await until('word of it', () => askedAt.length === 2);
    expect(askedAt[1]! - askedAt[0]!).toBeGreaterThanOrEqual(340);
  });

  it('are the only ones whose packets are taken', async () => {
    const { engine, room, robot, heard } = await start({ listenIp: '0.0.0.0' });
    const target = await open(robot);
    const stranger = await openRtpSender(target, '127.0.0.2');
    const sender = await openRtpSender(target);
    await stranger.send(target.rtpPort, STRANGER);
    await until('other sockets at the same ports', () => engine.transports.length === 2);
    expect(engine.transports[0]!.closed).toBe(true);
    expect(room.tracks()).toEqual([]);
    await until('the track of the robot', async () => {
      await sender.send(target.rtpPort, ROBOT);
      return room.tracks().length === 1;
    });
    expect(heard).toEqual([['track', target.track]]);
    const viewer = await watchPackets(engine, target.track.trackId, robot.native!.rtpCapabilities);
    for (let index = 0; index < 20; index += 1) await stranger.send(target.rtpPort, STRANGER);
    await until('packets of the robot', async () => {
      await sender.send(target.rtpPort, ROBOT);
      return viewer.packets.length >= 3;
    });
    expect(new Set(viewer.packets.map((packet) => packet.at(-1)))).toEqual(new Set([ROBOT]));
    expect(heard).toHaveLength(1);
  });

  it('can be started again, and are given up after half a minute of silence', async () => {
    const clock = createStoppedClock();
    const { engine, room, robot, ingest } = await start({ clock });
    const target = await open(robot);
    const sender = await openRtpSender(target);
    await sender.send(target.rtpPort);
    await until('the track', () => room.tracks().length === 1);
    await until('the sockets for the next', () => {
      clock.advance(2_000);
      return engine.producers.length === 2;
    });
    expect(room.tracks()).toEqual([]);

    // From another port, as any new process.
    const again = await openRtpSender(target);
    await until('the track', async () => {
      await again.send(target.rtpPort);
      return room.tracks().length === 1;
    });
    expect(room.tracks()).toEqual([target.track]);
    for (let sweep = 0; sweep < 5; sweep += 1) {
      await again.send(target.rtpPort);
      await until('the packet', async () => {
        const [stat] = await engine.producers[1]!.getStats();
        return stat !== undefined && stat.packetCount >= sweep + 2;
      });
      clock.advance(3_000);
    }
    expect(engine.producers).toHaveLength(2);

    let silentMs = 0;
    await until('the end', () => {
      clock.advance(2_000);
      silentMs += 2_000;
      return engine.transports.every(({ closed }) => closed) && engine.transports.length === 3;
    });
    expect(silentMs).toBeGreaterThanOrEqual(26_000);
    await expect(ingest.close(target.track.trackId)).rejects.toMatchObject({
      reason: 'unknown_track',
    });
  });

  it.each([
    [{ from: 'robot.local' }, 'bad_media'],
    [{ from: '' }, 'bad_media'],
    [{ codec: 'opus' as const }, 'bad_media'],
  ])('must ask for something that can be: %j', async (wrong, reason) => {
    const { ingest } = await start();
    const spec = { kind: 'video' as const, codec: 'VP8' as const, from: '127.0.0.1', ...wrong };
    await expect(ingest.open(spec)).rejects.toMatchObject({ reason });
  });

  it('are limited in tracks', async () => {
    const { robot } = await start();
    const opened = await Promise.allSettled(Array.from({ length: 5 }, () => open(robot)));
    expect(opened.map(({ status }) => status)).toEqual([...Array(4).fill('fulfilled'), 'rejected']);
  });
});
