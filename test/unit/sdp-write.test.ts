import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { streamId } from '../../src/media/sdp/stream-id.js';
import { directionOf, type LocalLine, writeDescription } from '../../src/media/sdp/write.js';
import { FakeTransport, linesOf, routerCapabilities } from '../support/sdp.js';

const { iceParameters, iceCandidates, dtlsParameters } = new FakeTransport(routerCapabilities());

const video: LocalLine = {
  closed: false,
  mid: '0',
  kind: 'video',
  protocol: 'UDP/TLS/RTP/SAVPF',
  sends: true,
  receives: true,
  codecs: [
    {
      mimeType: 'video/VP8',
      payloadType: 96,
      clockRate: 90_000,
      parameters: { 'x-google-start-bitrate': 1_500 },
      rtcpFeedback: [
        { type: 'nack', parameter: '' },
        { type: 'nack', parameter: 'pli' },
      ],
    },
    { mimeType: 'video/rtx', payloadType: 97, clockRate: 90_000, parameters: { apt: 96 } },
  ],
  extensions: [
    { id: 3, uri: 'urn:a' },
    { id: 8, uri: 'urn:b', inbound: true },
  ],
  rids: ['q', 'f'],
  stream: { streamId: 'ada', trackId: 't1', ssrc: 1, rtxSsrc: 2, cname: 'c' },
};

function write(lines: Parameters<typeof writeDescription>[0]['lines']): string {
  return writeDescription({
    sessionId: 7,
    version: 2,
    ice: iceParameters,
    candidates: iceCandidates,
    fingerprint: dtlsParameters.fingerprints[1]!,
    setup: 'passive',
    allowMixedExtensions: true,
    lines,
  });
}

describe('writing a description', () => {
  it('spells out everything', () => {
    const closed = { closed: true as const, mid: '1', media: 'application' };
    expect(
      write([video, { ...closed, protocol: 'UDP/DTLS/SCTP', formats: 'webrtc-datachannel' }]),
    ).toMatchSnapshot();
  });

  it.each([
    [true, true, 'sendrecv'],
    [true, false, 'sendonly'],
    [false, true, 'recvonly'],
    [false, false, 'inactive'],
  ])('sends %s and receives %s: %s', (sends, receives, direction) => {
    expect(directionOf({ sends, receives })).toBe(direction);
    const [line] = linesOf(write([{ ...video, sends, receives }]));
    expect(line!.direction).toBe(direction);
    expect(line!.ssrcs).toEqual(sends ? [1, 2] : []);
    expect(line!.msid).toBe(sends ? 'ada' : undefined);
    expect(line!.section.rids ?? []).toHaveLength(receives ? 2 : 0);
  });

  it('leaves closed lines out of BUNDLE', () => {
    const closed = { closed: true as const, mid: '1', media: 'video', protocol: 'a', formats: '0' };
    expect(write([video, closed])).toContain('a=group:BUNDLE 0\r\n');
    expect(write([closed])).not.toContain('BUNDLE');
  });

  it("lets no publisher's parameters begin a line", () => {
    const parameters = {
      'a\r\na=x': 1,
      b: 'c\r\na=y',
      d: 'e f',
      'sprop-parameter-sets': 'Z0L+/==,aM4=',
    };
    const text = write([{ ...video, codecs: [{ ...video.codecs[0]!, parameters }] }]);
    expect(text).toContain('\r\na=fmtp:96 sprop-parameter-sets=Z0L+/==,aM4=\r\n');
    expect(text).not.toMatch(/a=[xy]/);
  });

  it('refuses what would begin a line', () => {
    expect(() => write([{ ...video, mid: '0\r\na=x' }])).toThrow(RangeError);
  });
});

describe('a stream id', () => {
  it('is the id where that can stand in a description', () => {
    expect(streamId('user_123-2')).toBe('user_123-2');
  });

  it('tells apart what reduces to the same', () => {
    expect(streamId('Анна')).toMatch(/^____-[\da-f]{12}$/);
    expect(streamId('Анна')).not.toBe(streamId('Олег'));
    expect(streamId('a b')).not.toBe(streamId('a_b'));
    expect(streamId('')).not.toBe('');
  });

  it('never has another character, and never more than 64', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (id) => {
        expect(streamId(id)).toMatch(/^[\w-]{1,64}$/);
      }),
    );
  });
});
