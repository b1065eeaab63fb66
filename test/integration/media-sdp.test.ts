import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { MediaRoom } from '../../src/media/provider.js';
import { createStoppedClock } from '../support/identity.js';
import { describeWithWorker, memberSpec, startMedia, watchEngine } from '../support/media.js';
import { until } from '../support/until.js';

const ROOM = { maxMembers: 10 };

function fixture(name: string): string {
  return readFileSync(`test/fixtures/sdp/${name}.sdp`, 'utf8');
}

/** A client that takes our offers; one that only sends offers is as over HTTP. */
async function joinSdp(room: MediaRoom, id: string, takesOffers: boolean) {
  const member = await room.join(memberSpec(id));
  const offers: string[] = [];
  const sdp = member.sdp!;
  if (takesOffers) sdp.onOffer = (offer) => void offers.push(offer);
  return { member, sdp, offers };
}

function media(sdp: string, kind: string): string {
  return sdp.split(/^(?=m=)/m).find((section) => section.startsWith(`m=${kind}`)) ?? '';
}

describeWithWorker('members with a plain RTCPeerConnection', () => {
  describe.each([
    ['chromium-audio-video', 2],
    ['chromium-simulcast', 2],
    ['firefox-audio-video', 2],
    ['firefox-simulcast', 2],
    ['safari-audio-video', 2],
    ['pion-audio-video', 2],
    ['aiortc-audio-video', 2],
    ['gstreamer-vp8', 2],
    ['gstreamer-h264', 1],
  ])('whose offer is %s', (name, count) => {
    it('send what others are offered, in the engine itself', async () => {
      const room = await startMedia().openRoom('a', ROOM);
      const viewer = await joinSdp(room, 'viewer', true);
      await viewer.sdp.offer(fixture('chromium-recvonly'));
      const sender = await joinSdp(room, 'sender', true);
      const answer = await sender.sdp.offer(fixture(name));
      expect(answer).toMatch(/^a=ice-lite\r$/m);
      expect(answer).toMatch(/^a=candidate:.* 127\.0\.0\.1 \d+ typ host/m);
      const tracks = room.tracks();
      expect(tracks).toHaveLength(count);
      await until('our offer', () => viewer.offers.length === 1);
      for (const { kind, trackId } of tracks) {
        expect(media(viewer.offers[0]!, kind)).toContain(`a=msid:sender ${trackId}`);
      }
      await sender.member.leave();
      expect(room.tracks()).toEqual([]);
    });
  });

  it('get tracks on their own lines, with their own numbers, where they take no offers', async () => {
    const engine = await watchEngine();
    const room = await startMedia().openRoom('a', ROOM);
    const sender = await joinSdp(room, 'sender', true);
    await sender.sdp.offer(fixture('chromium-audio-video'));
    const [audio, video] = room.tracks();

    const chromium = await joinSdp(room, 'chromium', false);
    const same = await chromium.sdp.offer(fixture('chromium-recvonly'));
    expect(media(same!, 'video')).toMatch(new RegExp(`^a=msid:sender ${video!.trackId}`, 'm'));
    expect(media(same!, 'video')).toMatch(/^a=rtpmap:96 VP8\/90000/m);
    expect(engine.routers).toHaveLength(1);

    const firefox = await joinSdp(room, 'firefox', false);
    const other = await firefox.sdp.offer(fixture('firefox-audio-video'));
    expect(media(other!, 'video')).toMatch(/^a=rtpmap:120 VP8\/90000/m);
    expect(media(other!, 'video')).toMatch(new RegExp(`^a=msid:sender ${video!.trackId}`, 'm'));
    expect(media(other!, 'audio')).toMatch(/^a=rtpmap:109 opus\/48000\/2/m);
    expect(media(other!, 'audio')).toMatch(new RegExp(`^a=msid:sender ${audio!.trackId}`, 'm'));
    expect(engine.routers).toHaveLength(2);
    // What it sends goes from its router to that of the others.
    await until('its tracks at the first', () =>
      sender.offers.some((o) => o.includes('msid:firefox')),
    );

    const second = await joinSdp(room, 'firefox-2', false);
    await second.sdp.offer(fixture('firefox-audio-video'));
    expect(engine.routers).toHaveLength(2);
    const pipes = engine.transports.filter(({ type, closed }) => type === 'pipe' && !closed);
    expect(pipes).toHaveLength(2);

    await sender.member.leave();
    await until(
      'the end of what was carried over',
      () => engine.producers.filter(({ closed }) => !closed).length === 6,
    );
    await room.close('over');
    expect(engine.transports.every(({ closed }) => closed)).toBe(true);
  });

  it('are offered all tracks with their own numbers where ours mean something else to them', async () => {
    const engine = await watchEngine();
    const room = await startMedia().openRoom('a', ROOM);
    const aiortc = await joinSdp(room, 'aiortc', true);
    await aiortc.sdp.offer(fixture('aiortc-audio-video'));
    expect(engine.routers).toHaveLength(2);
    // Browsers that number in another way take lines with our numbers all the same.
    const firefox = await joinSdp(room, 'firefox', true);
    await firefox.sdp.offer(fixture('firefox-audio-video'));
    expect(engine.routers).toHaveLength(2);
    await until('our offer', () => aiortc.offers.length > 0);
    const sections = aiortc.offers.at(-1)!.split(/^(?=m=)/m);
    const ofFirefox = (kind: string) =>
      sections.find(
        (section) => section.startsWith(`m=${kind}`) && section.includes('a=msid:firefox'),
      );
    expect(ofFirefox('video')).toMatch(/^a=rtpmap:97 VP8\/90000/m);
    expect(ofFirefox('audio')).toMatch(/^a=rtpmap:96 opus\/48000\/2/m);
  });

  it('begin ICE anew without an offer', async () => {
    const room = await startMedia().openRoom('a', ROOM);
    const { sdp } = await joinSdp(room, 'http', false);
    await expect(sdp.restartIce('fresh')).rejects.toMatchObject({ reason: 'wrong_state' });
    const answer = await sdp.offer(fixture('chromium-audio-video'));
    const { ufrag, pwd, candidates } = await sdp.restartIce('fresh');
    expect(answer).not.toContain(ufrag);
    expect(pwd).toMatch(/^\S{22,}$/);
    for (const candidate of candidates) expect(answer).toContain(`a=${candidate}`);
    expect(candidates.length).toBeGreaterThan(0);
  });

  it('leave when nothing but their connection tells that they live, and it does not', async () => {
    const clock = createStoppedClock();
    const room = await startMedia({ clock }).openRoom('a', ROOM);
    const overHttp = await joinSdp(room, 'http', false);
    const overSocket = await joinSdp(room, 'socket', true);
    for (const { sdp } of [overHttp, overSocket]) await sdp.offer(fixture('chromium-audio-video'));
    clock.advance(29_000);
    expect(room.members()).toHaveLength(2);
    clock.advance(2_000);
    expect(room.members().map(({ id }) => id)).toEqual(['socket']);
    await expect(overHttp.sdp.offer(fixture('chromium-audio-video'))).rejects.toMatchObject({
      reason: 'closed',
    });
  });

  it('are held to what they may do', async () => {
    const room = await startMedia().openRoom('a', ROOM);
    const grants = { publish: false, subscribe: true, record: false };
    const viewer = await room.join(memberSpec('viewer', { grants }));
    const answer = await viewer.sdp!.offer(fixture('chromium-audio-video'));
    expect(room.tracks()).toEqual([]);
    expect(media(answer!, 'video')).toMatch(/^a=inactive/m);
    await expect(viewer.sdp!.answer('v=0')).rejects.toMatchObject({ reason: 'wrong_state' });
    await expect(viewer.sdp!.offer('nonsense')).rejects.toMatchObject({ reason: 'bad_sdp' });
    viewer.sdp!.candidate({ candidate: '' });
  });

  it('get no more than they asked for', async () => {
    const engine = await watchEngine();
    const room = await startMedia().openRoom('a', ROOM);
    const sender = await joinSdp(room, 'sender', true);
    await sender.sdp.offer(fixture('chromium-simulcast'));
    const viewer = await joinSdp(room, 'viewer', false);
    await viewer.member.setQuality({ maxLayer: 0, maxKbps: 10 });
    await viewer.sdp.offer(fixture('chromium-recvonly'));
    const transport = engine.transports.at(-1)!;
    const [stats] = await transport.getStats();
    expect(stats).toMatchObject({ maxOutgoingBitrate: 30_000, maxIncomingBitrate: 10_000_000 });
    await viewer.member.setQuality({ maxKbps: 2_000 });
    expect((await transport.getStats())[0]).toMatchObject({ maxOutgoingBitrate: 2_000_000 });
    await viewer.member.leave();
    await expect(viewer.member.setQuality({})).rejects.toMatchObject({ reason: 'closed' });
  });
});
