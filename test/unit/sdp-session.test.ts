import { describe, expect, it } from 'vitest';
import { MediaError } from '../../src/media/provider.js';
import {
  answerTo,
  capabilitiesFor,
  clashes,
  FakeTransport,
  FIXTURES,
  fixture,
  h264Track,
  linesOf,
  reoffer,
  routerCapabilities,
  sectionText,
  settled,
  startSession,
  track,
} from '../support/sdp.js';

const CHROMIUM = fixture('chromium-audio-video');

async function joined(offer = CHROMIUM, overrides: Parameters<typeof startSession>[0] = {}) {
  const started = startSession(overrides);
  const answer = await started.session.offer(offer);
  if (answer === null) throw new Error('the first offer was not answered');
  return { ...started, answer };
}

const directions = (sdp: string) => linesOf(sdp).map(({ direction }) => direction);

describe('the answer to a first offer', () => {
  it.each(FIXTURES)(
    'has the lines of the offer, in order, and no number twice: %s',
    async (name) => {
      const offer = fixture(name);
      const { answer } = await joined(offer);
      const shape = (sdp: string) => linesOf(sdp).map(({ mid, media }) => `${mid} ${media}`);
      expect(shape(answer)).toEqual(shape(offer));
      expect(clashes(answer)).toEqual([]);
      for (const [at, line] of linesOf(answer).entries()) {
        const offered = linesOf(offer)[at]!;
        if (line.port === 0) continue;
        // One codec and its RTX, of those offered.
        expect(line.payloadTypes.length).toBeLessThanOrEqual(2);
        for (const number of line.payloadTypes) expect(offered.payloadTypes).toContain(number);
        for (const ext of line.section.ext ?? []) {
          expect(offered.section.ext).toContainEqual(
            expect.objectContaining({ value: ext.value, uri: ext.uri }),
          );
        }
      }
    },
  );

  it('is that of an ICE-lite server: candidates in every section, the end of them, passive', async () => {
    const { answer, transport } = await joined();
    expect(answer).toContain('\r\na=ice-lite\r\n');
    for (const mid of ['0', '1']) {
      const text = sectionText(answer, mid);
      expect(text.match(/a=candidate:/g)).toHaveLength(2);
      expect(text).toContain('\r\na=end-of-candidates\r\n');
      expect(text).toContain('\r\na=setup:passive\r\n');
      expect(text).toContain(`\r\na=ice-ufrag:${transport.iceParameters.usernameFragment}\r\n`);
      expect(text).toMatch(/a=fingerprint:sha-256 BB:/);
      expect(text).toContain('\r\na=rtcp-mux\r\na=rtcp-rsize\r\n');
    }
  });

  it('connects once, as the side that waits for the handshake', async () => {
    const { transport, session } = await joined();
    await session.offer(CHROMIUM);
    expect(transport.connects).toEqual([
      { role: 'client', fingerprints: [{ algorithm: 'sha-256', value: expect.any(String) }] },
    ]);
    expect(session.fingerprint).toBe(`sha-256 ${transport.connects[0]!.fingerprints[0]!.value}`);
  });

  it('begins the handshake for a client that waits for it', async () => {
    const { transport, answer } = await joined(CHROMIUM.replaceAll('actpass', 'passive'));
    expect(transport.connects[0]!.role).toBe('server');
    expect(answer.match(/a=setup:active/g)).toHaveLength(2);
  });

  // What the client offers, what others send, what is answered.
  it.each([
    ['sendrecv', true, 'sendrecv'],
    ['sendrecv', false, 'recvonly'],
    ['sendonly', true, 'recvonly'],
    ['sendonly', false, 'recvonly'],
    ['recvonly', true, 'sendonly'],
    ['recvonly', false, 'inactive'],
    ['inactive', true, 'inactive'],
    ['inactive', false, 'inactive'],
  ])('to %s with a track to see: %s, is %s', async (offered, hasTrack, answered) => {
    const { session, transport } = startSession();
    if (hasTrack) session.watch(track('v', 'video'));
    const answer = await session.offer(
      fixture('chromium-video-only').replace('a=sendonly', `a=${offered}`),
    );
    expect(directions(answer!)).toEqual([answered]);
    expect(transport.producers.length).toBe(/^send/.test(offered) ? 1 : 0);
    expect(transport.consumers.length).toBe(answered.startsWith('send') ? 1 : 0);
  });

  it('carries the tracks of others on its own lines, with their member as stream', async () => {
    const { session, transport } = startSession();
    session.watch(track('a1', 'audio', 'Ada Lovelace'));
    session.watch(track('v1', 'video', 'ada'));
    const answer = (await session.offer(CHROMIUM))!;
    const [audio, video] = linesOf(answer);
    expect(audio!.msid).toMatch(/^Ada_Lovelace-[\da-f]{12}$/);
    expect(video!.msid).toBe('ada');
    expect(transport.consumers.map(({ rtpParameters }) => rtpParameters.mid)).toEqual(['0', '1']);
    expect(video!.ssrcs).toEqual([
      transport.consumers[1]!.rtpParameters.encodings![0]!.ssrc,
      transport.consumers[1]!.rtpParameters.encodings![0]!.rtx!.ssrc,
    ]);
    expect(transport.consumers.map(({ state }) => state)).toEqual(['running', 'running']);
  });

  it('takes simulcast, layer by layer, and the names that takes', async () => {
    const { answer, transport } = await joined(fixture('chromium-simulcast'));
    const text = sectionText(answer, '1');
    expect(text).toContain(
      'a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\na=simulcast:recv q;h;f',
    );
    const { rtpParameters } = transport.producers[1]!;
    expect(rtpParameters.encodings).toEqual([
      { rid: 'q', scalabilityMode: 'L1T3' },
      { rid: 'h', scalabilityMode: 'L1T3' },
      { rid: 'f', scalabilityMode: 'L1T3' },
    ]);
    const uris = rtpParameters.headerExtensions!.map(({ uri }) => uri);
    expect(uris).toContain('urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id');
    expect(uris).not.toContain('urn:ietf:params:rtp-hdrext:sdes:mid');
  });

  it('takes no second simulcast whose layers nothing tells from those of the first', async () => {
    const first = fixture('chromium-simulcast');
    const second = sectionText(first, '1').replace('a=mid:1', 'a=mid:2');
    const { answer, transport } = await joined(
      first.replace('BUNDLE 0 1', 'BUNDLE 0 1 2') + second,
    );
    expect(directions(answer)).toEqual(['recvonly', 'recvonly', 'inactive']);
    expect(transport.producers).toHaveLength(2);
    const other = second.replaceAll(/(a=rid:|send |;)([qhf])\b/g, '$1screen$2');
    const named = await joined(first.replace('BUNDLE 0 1', 'BUNDLE 0 1 2') + other);
    expect(directions(named.answer)).toEqual(['recvonly', 'recvonly', 'recvonly']);
  });

  it('takes a stream that only its mid tells, and the mid with it', async () => {
    const { transport, answer } = await joined(CHROMIUM.replace(/a=ssrc.*\r\n/g, ''));
    expect(transport.producers[1]!.rtpParameters).toMatchObject({ mid: '1', encodings: [{}] });
    expect(sectionText(answer, '1')).toContain('a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid');
  });

  it('knows RTX of the client', async () => {
    const { transport } = await joined();
    const { encodings, codecs, mid } = transport.producers[1]!.rtpParameters;
    expect(mid).toBe('1');
    expect(codecs.map(({ payloadType }) => payloadType)).toEqual([96, 97]);
    expect(encodings).toEqual([{ ssrc: expect.any(Number), rtx: { ssrc: expect.any(Number) } }]);
  });

  it('refuses a data channel with port 0 and does no harm to the rest', async () => {
    const { answer } = await joined(fixture('chromium-datachannel'));
    expect(linesOf(answer).map(({ port }) => port)).toEqual([9, 9, 0]);
    expect(answer).toContain('m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n');
    expect(answer).toContain('a=group:BUNDLE 0 1\r\n');
    expect(directions(answer)).toEqual(['recvonly', 'recvonly', 'inactive']);
  });

  it('refuses a line without a codec of the room', async () => {
    const { answer, transport } = await joined(
      CHROMIUM.replace(/(m=audio 9 UDP\/TLS\/RTP\/SAVPF) .*/, '$1 0 8'),
    );
    expect(linesOf(answer).map(({ port }) => port)).toEqual([0, 9]);
    expect(transport.producers.map(({ trackId }) => trackId)).toEqual(['video-0']);
  });

  it('tells where to start sending', async () => {
    const { answer } = await joined(CHROMIUM, { startKbps: 1_500 });
    expect(sectionText(answer, '1')).toContain('a=fmtp:96 x-google-start-bitrate=1500');
    expect(sectionText(answer, '0')).not.toContain('x-google');
  });

  it('does not repeat what a sender says of its own stream', async () => {
    const { answer } = await joined(fixture('gstreamer-h264'), {
      router: routerCapabilities({ vp8: 100, vp8Rtx: 101, h264: 96 }),
    });
    expect(answer).toContain('profile-level-id');
    expect(answer).not.toContain('sprop');
  });

  it('lets nobody send who may not', async () => {
    const { answer, transport } = await joined(CHROMIUM, { mayPublish: false });
    expect(directions(answer)).toEqual(['inactive', 'inactive']);
    expect(transport.producers).toEqual([]);
  });

  it('shows nothing to who may not see', async () => {
    const { session, transport } = startSession({ maySubscribe: false });
    session.watch(track('v', 'video'));
    expect(directions((await session.offer(CHROMIUM))!)).toEqual(['recvonly', 'recvonly']);
    expect(transport.consumers).toEqual([]);
  });

  it.each(['firefox-audio-video', 'safari-audio-video', 'aiortc-audio-video', 'gstreamer-vp8'])(
    "fills the client's own lines on a router of its dialect: %s",
    async (name) => {
      const { session } = startSession({
        openTransport: async (dialect) => new FakeTransport(capabilitiesFor(dialect)),
      });
      session.onOffer = undefined;
      session.watch(track('a', 'audio'));
      session.watch(track('v', 'video'));
      const answer = (await session.offer(fixture(name)))!;
      expect(directions(answer)).toEqual(['sendrecv', 'sendrecv']);
      expect(clashes(answer)).toEqual([]);
    },
  );
});

describe('offers of the server', () => {
  it('come when tracks have come, all in one', async () => {
    const { session, transport, nextOffer, clock } = await joined();
    session.watch(track('a1', 'audio', 'ada'));
    session.watch(track('v1', 'video', 'ada'));
    session.watch(track('a2', 'audio', 'bob'));
    session.watch(track('v2', 'video', 'bob'));
    const offer = await nextOffer();
    expect(linesOf(offer).map(({ mid, direction, msid }) => [mid, direction, msid])).toEqual([
      ['0', 'sendrecv', 'ada'],
      ['1', 'sendrecv', 'ada'],
      ['s0', 'sendonly', 'bob'],
      ['s1', 'sendonly', 'bob'],
    ]);
    expect(offer.match(/a=setup:actpass/g)).toHaveLength(4);
    expect(offer).toContain('a=group:BUNDLE 0 1 s0 s1\r\n');
    expect(clashes(offer)).toEqual([]);
    expect(session.state).toBe('offered');
    expect(transport.consumers.map(({ state }) => state)).toEqual(Array(4).fill('paused'));
    expect(transport.consumers.map(({ rtpParameters }) => rtpParameters.mid)).toEqual([
      '0',
      '1',
      's0',
      's1',
    ]);

    await session.answer(answerTo(offer, CHROMIUM));
    expect(session.state).toBe('stable');
    expect(transport.consumers.map(({ state }) => state)).toEqual(Array(4).fill('running'));
    expect(clock.timers).toBe(0);
  });

  it('wait 30 ms for more to tell', async () => {
    const { session, clock, offers } = await joined();
    session.watch(track('a', 'audio'));
    await settled();
    clock.advance(29);
    await settled();
    session.watch(track('v', 'video'));
    await settled();
    expect(offers).toEqual([]);
    clock.advance(1);
    await settled();
    expect(offers).toHaveLength(1);
    expect(directions(offers[0]!)).toEqual(['sendrecv', 'sendrecv']);
  });

  it('never come before the first offer of the client', async () => {
    const { session, clock, offers } = startSession();
    session.watch(track('v', 'video'));
    await settled();
    clock.advance(10_000);
    await settled();
    expect(offers).toEqual([]);
    expect(session.state).toBe('new');
  });

  it('come one at a time', async () => {
    const { session, clock, offers, nextOffer } = await joined();
    session.watch(track('v1', 'video', 'ada'));
    const first = await nextOffer();
    session.watch(track('v2', 'video', 'bob'));
    await settled();
    clock.advance(500);
    await settled();
    expect(offers).toEqual([]);
    await session.answer(answerTo(first, CHROMIUM));
    expect(linesOf(await nextOffer()).at(-1)).toMatchObject({ mid: 's0', msid: 'bob' });
  });

  it('do not come to a client that cannot take them', async () => {
    const { session, clock, offers } = startSession();
    session.onOffer = undefined;
    await session.offer(CHROMIUM);
    session.watch(track('v', 'video'));
    await settled();
    clock.advance(1_000);
    await settled();
    expect(offers).toEqual([]);
    session.onOffer = (sdp) => offers.push(sdp);
    clock.advance(30);
    await settled();
    expect(offers).toHaveLength(1);
  });

  it('go to lines of the server where the client has other numbers', async () => {
    const { session, nextOffer } = await joined(fixture('firefox-audio-video'));
    session.watch(track('v', 'video'));
    const offer = await nextOffer();
    expect(directions(offer)).toEqual(['recvonly', 'recvonly', 'sendonly']);
    expect(linesOf(offer)[2]!.payloadTypes).toEqual([96, 97]);
    expect(clashes(offer)).toEqual([]);
  });

  it('leave out what has the number of another codec there', async () => {
    // aiortc: opus is 96, which is VP8 on this router.
    const { session, transport, nextOffer } = await joined(fixture('aiortc-audio-video'));
    session.watch(track('v', 'video'));
    session.watch(track('a', 'audio'));
    const offer = await nextOffer();
    expect(transport.consumers.map(({ track }) => track.trackId)).toEqual(['a']);
    expect(clashes(offer)).toEqual([]);
  });

  it('leave out RTX alone where only its number is taken', async () => {
    const { session, nextOffer } = await joined(CHROMIUM, {
      router: routerCapabilities({ vp8: 100, vp8Rtx: 111 }),
    });
    session.watch(track('v', 'video'));
    const offer = await nextOffer();
    const line = linesOf(offer)[2]!;
    expect(line.payloadTypes).toEqual([100]);
    expect(line.ssrcs).toHaveLength(1);
    expect(clashes(offer)).toEqual([]);
  });

  it('leave the numbers of the header extensions alone, over every later offer', async () => {
    const { session, answer, nextOffer } = await joined();
    for (const id of ['v1', 'v2', 'v3']) session.watch(track(id, 'video'));
    const offer = await nextOffer();
    await session.answer(answerTo(offer, CHROMIUM));
    const again = (await session.offer(reoffer(CHROMIUM, offer)))!;
    // All in one description: what two of them disagree about clashes there.
    const all = [answer, offer, again].map((sdp, at) => sdp.replaceAll(/a=mid:/g, `a=mid:${at}-`));
    expect(clashes(all.join(''))).toEqual([]);
  });

  it('agree with all other lines about the feedback: browsers ignore what is not unanimous', async () => {
    const { session, nextOffer } = await joined();
    for (const kind of ['audio', 'video'] as const) {
      for (const id of ['1', '2']) session.watch(track(`${kind}${id}`, kind));
    }
    const offer = await nextOffer();
    for (const { section, mid } of linesOf(offer)) {
      const types = (section.rtcpFb ?? []).map(({ type }) => type);
      expect(types, mid).toContain('transport-cc');
      expect(types, mid).not.toContain('goog-remb');
    }
  });

  it('show video to a client that has offered none', async () => {
    const audioOnly = CHROMIUM.replace(/m=video[\s\S]*/, '').replace('BUNDLE 0 1', 'BUNDLE 0');
    const { session, nextOffer } = await joined(audioOnly);
    session.watch(track('v', 'video'));
    const line = linesOf(await nextOffer())[1]!;
    expect(line).toMatchObject({ mid: 's0', direction: 'sendonly', payloadTypes: [96, 97] });
  });

  it('show H264 in whatever way its publisher spells the profile', async () => {
    const { session, nextOffer } = await joined();
    session.watch(h264Track('h'));
    const line = linesOf(await nextOffer()).find(({ msid }) => msid === 'other')!;
    expect(line.payloadTypes).toEqual([108, 109]);
  });

  it('are not repeated for a codec the client refuses, until it offers anew', async () => {
    const { session, clock, offers, nextOffer, transport } = await joined(
      fixture('chromium-recvonly'),
    );
    session.watch(track('v1', 'video', 'ada'));
    session.watch(track('v2', 'video', 'bob'));
    const offer = await nextOffer();
    await session.answer(answerTo(offer, CHROMIUM, { refuse: ['s0'] }));
    await settled();
    clock.advance(1_000);
    await settled();
    expect(offers).toEqual([]);
    expect(transport.open()).toHaveLength(1);
    // The refused line keeps its place.
    session.unwatch('v1');
    expect(linesOf(await nextOffer()).map(({ port }) => port)).toEqual([9, 9, 0]);
  });

  it('pause what the client does not want to see', async () => {
    const { session, transport, nextOffer } = await joined();
    session.watch(track('v', 'video'));
    const offer = await nextOffer();
    await session.answer(answerTo(offer, CHROMIUM, { directions: { 1: 'sendonly' } }));
    expect(transport.consumers[0]!.state).toBe('paused');
    const again = (await session.offer(CHROMIUM))!;
    expect(directions(again)[1]).toBe('sendrecv');
    expect(transport.consumers[0]!.state).toBe('running');
  });

  it('stop at 64 lines', async () => {
    const { session, transport, nextOffer } = await joined();
    for (let n = 0; n < 100; n += 1) session.watch(track(`v${n}`, 'video'));
    const offer = await nextOffer();
    expect(linesOf(offer)).toHaveLength(64);
    expect(transport.open()).toHaveLength(63);
  });

  it('leave a track out that cannot be had, and tell', async () => {
    const { session, transport, errors, nextOffer } = await joined();
    transport.failure = new Error('the producer is gone');
    session.watch(track('gone', 'video'));
    session.watch(track('v', 'video'));
    const offer = await nextOffer();
    expect(transport.open().map(({ track }) => track.trackId)).toEqual(['v']);
    expect(errors).toEqual([new Error('the producer is gone')]);
    await session.answer(answerTo(offer, CHROMIUM));
  });
});

describe('lines', () => {
  it('are silenced when their track ends, then used again', async () => {
    const { session, transport, nextOffer } = await joined();
    for (const id of ['v1', 'v2']) session.watch(track(id, 'video', `of-${id}`));
    await session.answer(answerTo(await nextOffer(), CHROMIUM));

    session.unwatch('v2');
    const silenced = await nextOffer();
    expect(directions(silenced)).toEqual(['recvonly', 'sendrecv', 'inactive']);
    expect(transport.consumers[1]!.state).toBe('closed');
    await session.answer(answerTo(silenced, CHROMIUM));

    session.watch(track('v3', 'video', 'of-v3'));
    const reused = await nextOffer();
    const line = linesOf(reused)[2]!;
    expect(line).toMatchObject({ mid: 's0', direction: 'sendonly', msid: 'of-v3' });
    expect(line.ssrcs[0]).not.toBe(linesOf(silenced)[2]!.ssrcs[0]);
    expect(transport.consumers.at(-1)!.rtpParameters.mid).toBe('s0');
  });

  it('do not pass from one track to another in one step: browsers would not report the new one', async () => {
    const { session, nextOffer } = await joined();
    for (const id of ['v1', 'v2']) session.watch(track(id, 'video', `of-${id}`));
    await session.answer(answerTo(await nextOffer(), CHROMIUM));
    session.unwatch('v2');
    session.watch(track('v3', 'video', 'of-v3'));
    const offer = await nextOffer();
    expect(linesOf(offer).map(({ mid, direction }) => [mid, direction])).toEqual([
      ['0', 'recvonly'],
      ['1', 'sendrecv'],
      ['s0', 'inactive'],
      ['s1', 'sendonly'],
    ]);
  });

  it('tell of a track that ended while the offer with it was out', async () => {
    const { session, nextOffer } = await joined();
    session.watch(track('v', 'video'));
    const offer = await nextOffer();
    session.unwatch('v');
    await session.answer(answerTo(offer, CHROMIUM));
    expect(directions(await nextOffer())[1]).toBe('recvonly');
  });

  it('follow the client: it stops sending, sends something else, sends again', async () => {
    const { session, transport } = await joined();
    const answer = (await session.offer(CHROMIUM.replaceAll('a=sendrecv', 'a=recvonly')))!;
    expect(directions(answer)).toEqual(['inactive', 'inactive']);
    expect(transport.producers.map(({ open }) => open)).toEqual([false, false]);
    await session.offer(CHROMIUM);
    expect(transport.producers.map(({ open }) => open)).toEqual([false, false, true, true]);
    const otherSsrcs = CHROMIUM.replaceAll(/a=ssrc.*/g, (line) =>
      line.replaceAll(/\b\d{6,10}\b/g, (ssrc) => String(Number(ssrc) - 1)),
    );
    await session.offer(otherSsrcs);
    expect(transport.producers.map(({ open }) => open)).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
    ]);
  });

  it('of the server are answered when the client repeats them', async () => {
    const { session, transport, nextOffer } = await joined();
    for (const id of ['v1', 'v2']) session.watch(track(id, 'video', `of-${id}`));
    const offer = await nextOffer();
    await session.answer(answerTo(offer, CHROMIUM));
    const second = reoffer(CHROMIUM, offer);
    const answer = (await session.offer(second))!;
    expect(linesOf(answer).map(({ mid, direction }) => [mid, direction])).toEqual([
      ['0', 'recvonly'],
      ['1', 'sendrecv'],
      ['s0', 'sendonly'],
    ]);
    expect(linesOf(answer)[2]!.ssrcs).toEqual(linesOf(offer)[2]!.ssrcs);
    expect(clashes(answer)).toEqual([]);
    expect(transport.open()).toHaveLength(2);
    expect(transport.producers).toHaveLength(2);
  });

  it('closed by the client stay closed, and what they showed is not offered again', async () => {
    const { session, transport, clock, offers } = startSession();
    session.watch(track('v', 'video'));
    await session.offer(CHROMIUM);
    const stopped = CHROMIUM.replace('m=video 9', 'm=video 0').replace('BUNDLE 0 1', 'BUNDLE 0');
    const answer = (await session.offer(stopped))!;
    expect(linesOf(answer).map(({ port }) => port)).toEqual([9, 0]);
    expect(transport.open()).toEqual([]);
    expect(transport.producers.map(({ open }) => open)).toEqual([true, false]);
    await settled();
    clock.advance(1_000);
    await settled();
    expect(offers).toEqual([]);
  });

  it('are taken over by another section of the client, as browsers recycle them', async () => {
    const { session } = await joined();
    const stopped = CHROMIUM.replace('m=video 9', 'm=video 0').replace('BUNDLE 0 1', 'BUNDLE 0');
    await session.offer(stopped);
    const recycled = CHROMIUM.replace('a=mid:1', 'a=mid:2').replace('BUNDLE 0 1', 'BUNDLE 0 2');
    const answer = (await session.offer(recycled))!;
    expect(linesOf(answer).map(({ mid, port }) => [mid, port])).toEqual([
      ['0', 9],
      ['2', 9],
    ]);
  });

  it('keep what they are: a mid cannot become another kind', async () => {
    const { session } = await joined();
    const swapped = CHROMIUM.replace('a=mid:0', 'a=mid:x')
      .replace('a=mid:1', 'a=mid:0')
      .replace('a=mid:x', 'a=mid:1');
    await expect(session.offer(swapped)).rejects.toMatchObject({ reason: 'bad_sdp' });
  });

  it('with a mid too long for packets are not used to send', async () => {
    const offer = fixture('chromium-recvonly')
      .replace('a=mid:1', 'a=mid:sdparta_1')
      .replace('BUNDLE 0 1', 'BUNDLE 0 sdparta_1');
    const { session, transport, nextOffer } = await joined(offer);
    session.watch(track('v', 'video'));
    await nextOffer();
    expect(transport.consumers[0]!.rtpParameters.mid).toBe('s0');
  });
});

describe('a glare', () => {
  async function glare() {
    const started = await joined();
    started.session.watch(track('v1', 'video', 'ada'));
    started.session.watch(track('v2', 'video', 'bob'));
    const ours = await started.nextOffer();
    const theirs = started.session.offer(CHROMIUM);
    await settled();
    expect(started.session.state).toBe('held');
    return { ...started, ours, theirs };
  }

  it('is over when the client answers ours: it has given way, and its offer is dropped', async () => {
    const { session, clock, ours, theirs, transport } = await glare();
    await session.answer(answerTo(ours, CHROMIUM));
    await expect(theirs).resolves.toBeNull();
    expect(session.state).toBe('stable');
    expect(transport.open().map(({ state }) => state)).toEqual(['running', 'running']);
    expect(clock.timers).toBe(0);
    // What browsers do next: offer again, with our lines in.
    const answer = (await session.offer(reoffer(CHROMIUM, ours)))!;
    expect(linesOf(answer).map(({ mid }) => mid)).toEqual(['0', '1', 's0']);
  });

  it('ends after a second when the client ignores ours: we give way, without the lines it never accepted', async () => {
    const { session, clock, theirs, transport, offers, nextOffer } = await glare();
    clock.advance(999);
    await settled();
    expect(session.state).toBe('held');
    clock.advance(1);
    const answer = (await theirs)!;
    expect(linesOf(answer).map(({ mid }) => mid)).toEqual(['0', '1']);
    expect(session.state).toBe('stable');
    // One of the tracks found place in the answer; the other is offered again, under another mid.
    expect(linesOf(answer)[1]).toMatchObject({ direction: 'sendrecv', msid: 'ada' });
    expect(offers).toEqual([]);
    const next = await nextOffer();
    expect(linesOf(next).map(({ mid, msid }) => [mid, msid])).toEqual([
      ['0', undefined],
      ['1', 'ada'],
      ['s1', 'bob'],
    ]);
    expect(transport.open().map(({ track }) => track.trackId)).toEqual(['v1', 'v2']);
  });

  it('holds the newest of several offers', async () => {
    const { session, clock, theirs } = await glare();
    const newer = session.offer(CHROMIUM.replaceAll('a=sendrecv', 'a=sendonly'));
    await expect(theirs).resolves.toBeNull();
    clock.advance(1_000);
    expect(directions((await newer)!)).toEqual(['recvonly', 'recvonly']);
  });

  it('refuses an answer that comes too late', async () => {
    const { session, clock, ours, theirs } = await glare();
    clock.advance(1_000);
    await theirs;
    await expect(session.answer(answerTo(ours, CHROMIUM))).rejects.toMatchObject({
      reason: 'wrong_state',
    });
  });

  it('finds together again with a client whose answer came too late', async () => {
    const { session, clock, ours, theirs } = await glare();
    clock.advance(1_000);
    await theirs;
    // It knows our line s0, which we have taken back.
    const answer = (await session.offer(reoffer(CHROMIUM, ours)))!;
    expect(linesOf(answer).map(({ mid, direction, msid }) => [mid, direction, msid])).toEqual([
      ['0', 'recvonly', undefined],
      ['1', 'sendrecv', 'ada'],
      ['s0', 'sendonly', 'bob'],
    ]);
    expect(clashes(answer)).toEqual([]);
  });

  it('forgets a track that ended meanwhile', async () => {
    const { session, clock, theirs, transport, nextOffer } = await glare();
    session.unwatch('v2');
    clock.advance(1_000);
    await theirs;
    expect(transport.open().map(({ track }) => track.trackId)).toEqual(['v1']);
    await expect(nextOffer()).rejects.toThrow('no offer');
  });

  it('reports what is wrong with the held offer to the one who made it', async () => {
    const started = await joined();
    started.session.watch(track('v', 'video'));
    await started.nextOffer();
    await expect(started.session.offer('v=1')).rejects.toMatchObject({ reason: 'bad_sdp' });
    expect(started.session.state).toBe('offered');
    const swapped = CHROMIUM.replace('m=audio', 'm=video');
    const theirs = started.session.offer(swapped);
    await settled();
    started.clock.advance(1_000);
    await expect(theirs).rejects.toMatchObject({ reason: 'bad_sdp' });
    expect(started.session.state).toBe('stable');
    // And the track is offered again.
    expect(directions(await started.nextOffer())[1]).toBe('sendrecv');
  });
});

describe('what goes wrong', () => {
  it('is told to the caller and changes nothing', async () => {
    const { session, transport, nextOffer } = await joined();
    transport.failure = new Error('ssrc already exists');
    const screen = reoffer(CHROMIUM, CHROMIUM.replaceAll('a=mid:', 'a=mid:x'));
    expect(linesOf(screen)).toHaveLength(4);
    await expect(session.offer(screen)).rejects.toMatchObject({ reason: 'bad_media' });
    expect(session.state).toBe('stable');
    expect(transport.producers.filter(({ open }) => open)).toHaveLength(2);
    session.watch(track('v', 'video'));
    expect(linesOf(await nextOffer()).map(({ mid }) => mid)).toEqual(['0', '1']);
  });

  it('in the engine is no fault of the text', async () => {
    const { session, transport } = startSession();
    transport.failure = new Error('the worker said something about /usr/lib');
    const failing = session.offer(CHROMIUM);
    await expect(failing).rejects.toMatchObject({ reason: 'bad_media', code: 'invalid_input' });
    await expect(failing).rejects.not.toThrow(/usr/);
    // The next try finds everything as it was.
    expect(directions((await session.offer(CHROMIUM))!)).toEqual(['recvonly', 'recvonly']);
  });

  it('in the room keeps its reason', async () => {
    const { session, transport } = startSession();
    transport.failure = new MediaError('too_many', 'You publish too many tracks.');
    await expect(session.offer(CHROMIUM)).rejects.toMatchObject({ reason: 'too_many' });
  });

  it('without a worker is unavailable', async () => {
    const { session } = startSession({
      openTransport: () => Promise.reject(new Error('no worker')),
    });
    await expect(session.offer(CHROMIUM)).rejects.toMatchObject({
      reason: 'unavailable',
      code: 'unavailable',
    });
  });

  it('an answer to nothing', async () => {
    const { session } = await joined();
    await expect(session.answer(CHROMIUM)).rejects.toMatchObject({ reason: 'wrong_state' });
  });

  it('an answer with other lines leaves the offer out', async () => {
    const { session, nextOffer, transport } = await joined();
    session.watch(track('v1', 'video'));
    session.watch(track('v2', 'video'));
    const offer = await nextOffer();
    await expect(session.answer(CHROMIUM)).rejects.toMatchObject({ reason: 'bad_sdp' });
    expect(session.state).toBe('offered');
    expect(transport.open().map(({ state }) => state)).toEqual(['paused', 'paused']);
    await session.answer(answerTo(offer, CHROMIUM));
    expect(session.state).toBe('stable');
  });

  it('other DTLS keys: that is another connection', async () => {
    const { session } = await joined();
    const other = CHROMIUM.replaceAll(/(sha-256 )(..)/g, '$1FF');
    await expect(session.offer(other)).rejects.toMatchObject({ reason: 'sdp_unsupported' });
  });
});

describe('the connection', () => {
  it('restarts ICE when the client does', async () => {
    const { session, transport, answer } = await joined();
    expect(transport.restarts).toBe(0);
    const again = (await session.offer(
      CHROMIUM.replaceAll(/a=ice-ufrag:.*/g, 'a=ice-ufrag:new1'),
    ))!;
    expect(transport.restarts).toBe(1);
    const ufrags = (sdp: string) => sdp.match(/a=ice-ufrag:\S+/g)!;
    expect(ufrags(again)).toHaveLength(2);
    expect(ufrags(again)[0]).not.toBe(ufrags(answer)[0]);
    expect(ufrags(again)[0]).toBe(`a=ice-ufrag:${transport.iceParameters.usernameFragment}`);
    expect(transport.producers).toHaveLength(2);
    await session.offer(CHROMIUM.replaceAll(/a=ice-ufrag:.*/g, 'a=ice-ufrag:new1'));
    expect(transport.restarts).toBe(1);
  });

  it('restarts ICE for a client that says so without an offer', async () => {
    const { session, transport } = startSession();
    await expect(session.restartIce('a-new-one')).rejects.toMatchObject({ reason: 'wrong_state' });
    await session.offer(fixture('chromium-audio-video'));
    const side = await session.restartIce('a-new-one');
    expect(side).toEqual({
      ufrag: transport.iceParameters.usernameFragment,
      pwd: transport.iceParameters.password,
      candidates: [
        'candidate:udpcandidate 1 udp 1076302079 192.0.2.1 44444 typ host',
        'candidate:tcpcandidate 1 tcp 1076276479 192.0.2.1 44444 typ host tcptype passive',
      ],
    });
    expect(await session.restartIce('a-new-one')).toEqual(side);
    expect(transport.restarts).toBe(1);
    session.close();
    await expect(session.restartIce('another')).rejects.toMatchObject({ reason: 'closed' });
  });

  it('does not restart for an offer that is refused', async () => {
    const { session, transport } = await joined();
    transport.failure = new Error('no');
    const changed = CHROMIUM.replaceAll(/a=ice-ufrag:.*/g, 'a=ice-ufrag:new1').replaceAll(
      /cname:\S+/g,
      'cname:other',
    );
    await expect(session.offer(changed)).rejects.toBeInstanceOf(MediaError);
    expect(transport.restarts).toBe(0);
  });

  it('takes candidates and needs none', async () => {
    const { session } = await joined();
    session.candidate({ candidate: 'candidate:1 1 udp 1 abc.local 9 typ host', sdpMid: '0' });
    expect(session.state).toBe('stable');
  });

  it('carries out overlapping calls in order', async () => {
    const { session, transport } = startSession();
    let open = () => {};
    transport.gate = new Promise((resolve) => {
      open = resolve;
    });
    const order: string[] = [];
    const first = session.offer(CHROMIUM).then(() => order.push('first'));
    const second = session
      .offer(CHROMIUM.replaceAll('a=sendrecv', 'a=inactive'))
      .then(() => order.push('second'));
    session.watch(track('v', 'video'));
    await settled();
    expect(order).toEqual([]);
    open();
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
    expect(transport.producers.map(({ open }) => open)).toEqual([false, false]);
  });

  it('ends once: everything on it is closed, and whoever waits is told', async () => {
    const { session, transport, clock, nextOffer } = await joined();
    session.watch(track('v', 'video'));
    await nextOffer();
    const held = session.offer(CHROMIUM);
    await settled();
    session.close();
    session.close();
    await expect(held).rejects.toMatchObject({ reason: 'closed' });
    await expect(session.offer(CHROMIUM)).rejects.toMatchObject({ reason: 'closed' });
    await expect(session.answer(CHROMIUM)).rejects.toMatchObject({ reason: 'closed' });
    expect(session.state).toBe('closed');
    expect(transport.open()).toEqual([]);
    expect(transport.producers.some(({ open }) => open)).toBe(false);
    expect(clock.timers).toBe(0);
  });

  it('ends in the middle of an offer without leaving anything behind', async () => {
    const { session, transport, errors } = startSession();
    session.watch(track('v', 'video'));
    let open = () => {};
    transport.gate = new Promise((resolve) => {
      open = resolve;
    });
    const offer = session.offer(CHROMIUM);
    await settled();
    session.close();
    open();
    await expect(offer).rejects.toMatchObject({ reason: 'closed' });
    expect(transport.producers.some(({ open }) => open)).toBe(false);
    expect(transport.open()).toEqual([]);
    expect(errors).toEqual([]);
  });
});
