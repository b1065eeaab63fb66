import { describe, expect, it } from 'vitest';
import {
  acceptedExtensions,
  type Extension,
  MID,
  type Naming,
  sentExtensions,
  sharedExtensions,
} from '../../src/media/sdp/extensions.js';
import { readDescription } from '../../src/media/sdp/offer.js';
import { FIXTURES, fixture, routerCapabilities } from '../support/sdp.js';

const fixed = routerCapabilities().headerExtensions!;
const none = new Map<number, string>();
const ABS_SEND_TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time';
const TRANSPORT_CC = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
const AUDIO_LEVEL = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
const RID = 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id';
const REPAIRED_RID = 'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id';

/** What mediasoup 3.19 writes on packets it sends. A change of it belongs into extensions.ts, too. */
const STAMPED = [1, 4, 5, 8, 10, 11, 12, 13, 14];

function accepted(name: string, line: number, naming: Naming = 'ssrc', taken = none): Extension[] {
  const { kind, extensions } = readDescription(fixture(name)).lines[line]!;
  return acceptedExtensions({ kind, offered: extensions, fixed, naming, taken });
}

describe("mediasoup's table", () => {
  it('has the numbers the rules were found with', () => {
    const outbound = fixed.filter(({ uri }) => uri !== RID && uri !== REPAIRED_RID);
    expect([...new Set(outbound.map(({ preferredId }) => preferredId))]).toEqual(STAMPED);
  });
});

describe("what is accepted of the client's", () => {
  it('leaves Chromium its uplink congestion control, and nothing it could mistake for a mid', () => {
    expect(accepted('chromium-audio-video', 0)).toEqual([
      { id: 1, uri: AUDIO_LEVEL },
      { id: 2, uri: ABS_SEND_TIME },
      { id: 3, uri: TRANSPORT_CC },
    ]);
    expect(accepted('chromium-audio-video', 1)).toEqual([
      { id: 2, uri: ABS_SEND_TIME },
      { id: 3, uri: TRANSPORT_CC },
    ]);
  });

  it('keeps what tells streams apart, and nothing beyond', () => {
    expect(accepted('chromium-simulcast', 1, 'rid')).toEqual([
      { id: 2, uri: ABS_SEND_TIME },
      { id: 3, uri: TRANSPORT_CC },
      { id: 10, uri: RID },
      { id: 11, uri: REPAIRED_RID },
    ]);
    expect(accepted('firefox-simulcast', 1, 'rid')).toContainEqual({
      id: 9,
      uri: RID,
      inbound: true,
    });
    const mids = (naming: Naming) =>
      accepted('chromium-audio-video', 1, naming).filter(({ uri }) => uri === MID);
    expect(mids('mid')).toEqual([{ id: 4, uri: MID }]);
    // The number of mediasoup's abs-send-time: Chromium would drop all video it receives.
    expect(mids('rid')).toEqual([]);
    expect(mids('ssrc')).toEqual([]);
  });

  it('keeps numbers that mean to the client what they mean to mediasoup', () => {
    expect(accepted('aiortc-audio-video', 0)).toContainEqual({ id: 1, uri: MID });
    expect(accepted('firefox-audio-video', 1)).toContainEqual({ id: 4, uri: ABS_SEND_TIME });
  });

  it.each(FIXTURES)('accepts no stamped number with another meaning: %s', (name) => {
    const { lines } = readDescription(fixture(name));
    for (const [at, { kind }] of lines.entries()) {
      for (const { id, uri } of accepted(name, at)) {
        const own = fixed.find((one) => one.kind === kind && one.preferredId === id);
        const harmless = uri === AUDIO_LEVEL || !STAMPED.includes(id) || own?.uri === uri;
        expect(harmless, `${id} ${uri}`).toBe(true);
      }
    }
  });

  it('gives no number a second meaning', () => {
    expect(accepted('chromium-audio-video', 1, 'ssrc', new Map([[3, 'urn:other']]))).toEqual([
      { id: 2, uri: ABS_SEND_TIME },
    ]);
    expect(accepted('chromium-audio-video', 1, 'ssrc', new Map([[3, TRANSPORT_CC]]))).toHaveLength(
      2,
    );
  });

  it('accepts nothing unknown, and nothing twice', () => {
    const offered = [
      { id: 20, uri: TRANSPORT_CC },
      { id: 21, uri: TRANSPORT_CC },
      { id: 22, uri: 'urn:unknown' },
    ];
    expect(
      acceptedExtensions({ kind: 'video', offered, fixed, naming: 'ssrc', taken: none }),
    ).toEqual([{ id: 20, uri: TRANSPORT_CC }]);
  });
});

describe('what streams to the client carry', () => {
  const ids = (list: { preferredId: number }[]) => list.map(({ preferredId }) => preferredId);

  const offered = (name: string) =>
    readDescription(fixture(name)).lines.flatMap(({ kind, extensions }) =>
      extensions.map((extension) => ({ ...extension, kind })),
    );
  const sent = (kind: 'audio' | 'video', name: string) =>
    ids(sentExtensions({ kind, fixed, offered: offered(name) }));

  it('has the numbers the client gave it', () => {
    expect(sent('video', 'firefox-audio-video')).toEqual([4]);
    expect(sent('video', 'aiortc-audio-video')).toEqual([1]);
    expect(sent('audio', 'aiortc-audio-video')).toEqual([1]);
  });

  it('is nothing to Chromium, which has other numbers for all of it', () => {
    expect(sent('video', 'chromium-audio-video')).toEqual([]);
    expect(sent('audio', 'chromium-audio-video')).toEqual([]);
  });

  it('is what clashes with nothing when the client has not offered the kind', () => {
    expect(ids(sentExtensions({ kind: 'audio', fixed, offered: [] }))).toEqual([1, 4, 10, 13, 14]);
    const audioOnly = offered('chromium-audio-video').filter(({ kind }) => kind === 'audio');
    expect(ids(sentExtensions({ kind: 'video', fixed, offered: audioOnly }))).toEqual([
      11, 12, 13, 14,
    ]);
  });

  it("is on the client's own lines only what both number alike", () => {
    const negotiated = [
      { id: 1, uri: MID },
      { id: 2, uri: ABS_SEND_TIME },
      { id: 5, uri: TRANSPORT_CC, inbound: true },
    ];
    expect(ids(sharedExtensions('video', fixed, negotiated))).toEqual([1]);
  });
});
