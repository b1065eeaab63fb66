import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codecsOf, match, parseText } from '../../src/media/sdp/vendor.js';
import { fixture } from '../support/sdp.js';

const sections = (name: string) => parseText(fixture(name)).media;

// What src/media/sdp relies on in packages whose helpers are no promised API: a new version that differs fails here.
describe('the helpers of mediasoup-client and sdp-transform', () => {
  it('are pinned to exact versions', () => {
    const manifest = JSON.parse(
      readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'),
    );
    for (const name of ['mediasoup-client', 'sdp-transform']) {
      expect(manifest.dependencies[name], name).toMatch(/^\d+\.\d+\.\d+$/);
    }
  });

  it('turn whole numbers into numbers and leave the rest as text', () => {
    const [audio, video] = sections('chromium-audio-video');
    expect(audio).toMatchObject({
      type: 'audio',
      port: 9,
      protocol: 'UDP/TLS/RTP/SAVPF',
      payloads: '111 63 9 0 8 13 110 126',
      mid: 0,
      rtcpMux: 'rtcp-mux',
      setup: 'actpass',
      fingerprint: { type: 'sha-256' },
    });
    expect(video!.mid).toBe(1);
    expect(audio!.ssrcs![0]).toMatchObject({ attribute: 'cname' });
    expect(audio!.ext![0]).toEqual({
      value: 1,
      uri: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level',
    });
  });

  it('know directed extensions, bundle-only, layers and groups', () => {
    const video = sections('firefox-simulcast')[1]!;
    expect(video.ext).toContainEqual({
      value: 9,
      direction: 'sendonly',
      uri: 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id',
    });
    expect(video.rids).toEqual([
      { id: 'q', direction: 'send' },
      { id: 'h', direction: 'send' },
      { id: 'f', direction: 'send' },
    ]);
    expect(video.simulcast).toEqual({ dir1: 'send', list1: 'q;h;f' });
    expect(video.ssrcGroups).toHaveLength(3);
    expect(sections('gstreamer-vp8')[1]).toMatchObject({ port: 0, bundleOnly: 'bundle-only' });
    expect(parseText(fixture('gstreamer-vp8')).groups).toEqual([
      { type: 'BUNDLE', mids: 'video0 audio1' },
    ]);
  });

  it('read codecs with all fields filled in', () => {
    const [vp8, rtx] = codecsOf(sections('chromium-audio-video')[1]!);
    expect(vp8).toEqual({
      kind: 'video',
      mimeType: 'video/VP8',
      preferredPayloadType: 96,
      clockRate: 90_000,
      parameters: {},
      rtcpFeedback: [
        { type: 'goog-remb', parameter: '' },
        { type: 'transport-cc', parameter: '' },
        { type: 'ccm', parameter: 'fir' },
        { type: 'nack', parameter: '' },
        { type: 'nack', parameter: 'pli' },
      ],
    });
    expect(rtx).toMatchObject({ mimeType: 'video/rtx', parameters: { apt: 96 } });
    const [opus] = codecsOf(sections('gstreamer-vp8')[1]!);
    expect(opus).toMatchObject({ mimeType: 'audio/OPUS', channels: 2 });
  });

  it('match codecs in the order of the second, with the RTX and the H264 profile of both', () => {
    const safari = codecsOf(sections('safari-audio-video')[1]!);
    const chromium = codecsOf(sections('chromium-audio-video')[1]!);
    const room = chromium.filter(({ preferredPayloadType }) =>
      [96, 97, 108, 109].includes(preferredPayloadType),
    );
    const common = match(safari, room);
    expect(
      common.map((one) => [
        one.mimeType,
        one.clientPayloadType,
        one.clientRtxPayloadType,
        one.routerPayloadType,
        one.routerRtxPayloadType,
      ]),
    ).toEqual([
      ['video/VP8', 100, 101, 96, 97],
      ['video/H264', 98, 99, 108, 109],
    ]);
    expect(common[1]!.clientParameters['profile-level-id']).toBe('42e01f');
  });

  it('leave what they are given as it was', () => {
    const client = codecsOf(sections('gstreamer-h264')[0]!);
    const before = structuredClone(client);
    match(client, codecsOf(sections('chromium-audio-video')[1]!));
    expect(client).toEqual(before);
  });
});
