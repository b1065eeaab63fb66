import { describe, expect, it } from 'vitest';
import { dialectOf } from '../../src/media/sdp/codecs.js';
import { readDescription } from '../../src/media/sdp/offer.js';
import { FIXTURES, fixture, routerCapabilities } from '../support/sdp.js';

const room = routerCapabilities();
const dialect = (sdp: string) => dialectOf(readDescription(sdp).lines, room);

describe("a client's dialect", () => {
  it.each([
    ['chromium-audio-video', 'audio/opus:111:- video/VP8:96:97 video/H264:108:109', true],
    ['firefox-audio-video', 'audio/opus:109:- video/VP8:120:124 video/H264:108:127', true],
    ['safari-audio-video', 'audio/opus:111:- video/VP8:100:101 video/H264:98:99', true],
    ['pion-audio-video', 'audio/opus:111:- video/VP8:96:97 video/H264:106:107', true],
    // The numbers of the room's VP8 mean opus, or H264, to these.
    ['aiortc-audio-video', 'audio/opus:96:- video/VP8:97:98 video/H264:101:102', false],
    ['gstreamer-h264', 'audio/opus:111:- video/VP8:127:97 video/H264:96:109', false],
  ])('%s', (name, key, fitsRoom) => {
    expect(dialect(fixture(name))).toMatchObject({ key, fitsRoom });
  });

  it('is the same for all Chromium offers, so that they share a router', () => {
    const keys = FIXTURES.filter((name) => name.startsWith('chromium')).map(
      (name) => dialect(fixture(name)).key,
    );
    expect(new Set(keys).size).toBe(1);
  });

  it.each(FIXTURES)('has every codec of the room, and no number twice: %s', (name) => {
    const { codecs } = dialect(fixture(name));
    expect(codecs.map(({ mimeType }) => mimeType)).toEqual([
      'audio/opus',
      'video/VP8',
      'video/H264',
    ]);
    const numbers = codecs
      .flatMap(({ payloadType, rtxPayloadType }) => [payloadType, rtxPayloadType])
      .filter((number) => number !== undefined);
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});
