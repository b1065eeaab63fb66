import { describe, expect, it } from 'vitest';
import { MediaError } from '../../src/media/provider.js';
import { LINES_LIMIT, readDescription, SDP_LIMIT_BYTES } from '../../src/media/sdp/offer.js';
import { FIXTURES, fixture } from '../support/sdp.js';

function refusal(sdp: string): { reason: string; code: string; message: string } {
  try {
    readDescription(sdp);
  } catch (error) {
    if (!(error instanceof MediaError)) throw error;
    const { reason, code, message } = error;
    return { reason, code, message };
  }
  throw new Error('nothing was refused');
}

const chromium = fixture('chromium-audio-video');

describe('reading an offer', () => {
  it.each(FIXTURES)('%s', (name) => {
    const { lines, transport } = readDescription(fixture(name));
    expect(
      lines.map((line) => ({
        mid: line.mid,
        media: line.media,
        rejected: line.rejected,
        way: `${line.sends ? 'sends' : ''}${line.receives ? 'receives' : ''}`,
        codecs: line.codecs
          .map((codec) => `${codec.mimeType}:${codec.preferredPayloadType}`)
          .slice(0, 2),
        encodings: line.encodings,
        cname: line.cname !== undefined,
      })),
    ).toMatchSnapshot();
    expect(transport?.role).toBe('auto');
    // aiortc names several, of which one will do.
    const algorithm = name.startsWith('aiortc') ? 'sha-512' : 'sha-256';
    expect(transport?.fingerprint.algorithm).toBe(algorithm);
    expect(transport?.fingerprint.value).toMatch(/^[\dA-F]{2}(:[\dA-F]{2}){31,63}$/);
  });

  it('takes LF for a line end, too', () => {
    expect(readDescription(chromium.replaceAll('\r\n', '\n'))).toEqual(readDescription(chromium));
  });

  it('sees RTX as part of a stream, and forward error correction not at all', () => {
    const withFec = chromium.replace(
      /(m=video[\s\S]*)$/,
      [
        '$1a=ssrc-group:FID 11 12',
        'a=ssrc-group:FEC-FR 11 13',
        ...[11, 12, 13].map((ssrc) => `a=ssrc:${ssrc} cname:x`),
        '',
      ].join('\r\n'),
    );
    const before = readDescription(chromium).lines[1]!.encodings;
    expect(readDescription(withFec).lines[1]!.encodings).toEqual([
      ...before,
      { ssrc: 11, rtxSsrc: 12 },
    ]);
  });

  it('knows a stream without ssrc and layers by its mid alone', () => {
    const bare = chromium.replace(/a=ssrc.*\r\n/g, '');
    expect(readDescription(bare).lines[1]!.encodings).toEqual([{}]);
  });

  it('ignores codecs the m-line does not list', () => {
    const unlisted = chromium.replace('SAVPF 96 97', 'SAVPF 97');
    const numbers = readDescription(unlisted).lines[1]!.codecs.map(
      (one) => one.preferredPayloadType,
    );
    expect(numbers).not.toContain(96);
    expect(numbers).toContain(97);
  });

  it('takes a cname only if it is one', () => {
    const cname = (value: string) =>
      readDescription(chromium.replace(/cname:\S+/g, `cname:${value}`)).lines[0]!.cname;
    expect(cname('user@host-1/{a}')).toBe('user@host-1/{a}');
    expect(cname('a b')).toBeUndefined();
    expect(cname('x'.repeat(200))).toBeUndefined();
  });
});

describe('refusing an offer', () => {
  it.each([
    ['no SDP', 'hello', 'bad_sdp', /v=0/],
    ['an empty text', '', 'bad_sdp', /v=0/],
    ['no media', 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n', 'bad_sdp', /m=/],
    ['no BUNDLE', chromium.replace(/a=group.*\r\n/, ''), 'sdp_unsupported', /BUNDLE/],
    [
      'a line outside BUNDLE',
      chromium.replace('BUNDLE 0 1', 'BUNDLE 0'),
      'sdp_unsupported',
      /BUNDLE/,
    ],
    ['no rtcp-mux', chromium.replace('a=rtcp-mux\r\n', ''), 'sdp_unsupported', /rtcp-mux/],
    ['no fingerprint', chromium.replaceAll(/a=fingerprint.*\r\n/g, ''), 'bad_sdp', /fingerprint/],
    [
      'a short fingerprint',
      chromium.replaceAll(/(sha-256 ..):../g, '$1'),
      'bad_sdp',
      /fingerprint/,
    ],
    ['an unknown hash', chromium.replaceAll('sha-256', '__proto__'), 'bad_sdp', /fingerprint/],
    ['no ufrag', chromium.replaceAll(/a=ice-ufrag.*\r\n/g, ''), 'bad_sdp', /ufrag/],
    ['a short password', chromium.replaceAll(/a=ice-pwd.*/g, 'a=ice-pwd:x'), 'bad_sdp', /pwd/],
    ['no setup', chromium.replaceAll(/a=setup.*\r\n/g, ''), 'bad_sdp', /setup/],
    ['a held connection', chromium.replaceAll('actpass', 'holdconn'), 'bad_sdp', /setup/],
    [
      'the same mid twice',
      chromium.replace('a=mid:1', 'a=mid:0').replace('0 1\r', '0\r'),
      'bad_sdp',
      /mid "0"/,
    ],
    ['a malformed m-line', chromium.replace('m=video 9', 'm=video nine'), 'bad_sdp', /m=/],
    [
      'a thousand layers',
      chromium.replace(/a=ssrc:\d+ cname.*/, ssrcs(1_000)),
      'bad_sdp',
      /1001 streams/,
    ],
    ['RTX of nothing', chromium.replace('apt=96', 'apt=x'), 'bad_sdp', /cannot be read/],
  ])('%s', (_, sdp, reason, message) => {
    expect(refusal(sdp)).toMatchObject({ reason, message: expect.stringMatching(message) });
  });

  it.each([
    ['text', `${chromium}a=x:${'y'.repeat(SDP_LIMIT_BYTES)}\r\n`, /64 KiB/],
    ['media sections', chromium + 'm=audio 0 RTP/AVP 0\r\n'.repeat(LINES_LIMIT - 1), /64 media/],
    ['lines of text', `${chromium}${'a=\r\n'.repeat(15_000)}`, /lines of text/],
  ])('too much: %s', (_, sdp, message) => {
    expect(refusal(sdp)).toMatchObject({
      reason: 'sdp_too_large',
      code: 'too_large',
      message: expect.stringMatching(message),
    });
  });

  it('counts bytes, not characters', () => {
    const room = SDP_LIMIT_BYTES - Buffer.byteLength(chromium);
    const filled = (letter: string) => `${chromium}s=${letter.repeat(room / 2)}\r\n`;
    expect(() => readDescription(filled('a'))).not.toThrow();
    expect(refusal(filled('ж')).reason).toBe('sdp_too_large');
  });

  it('allows as many media sections as the limit says', () => {
    const full = chromium + 'm=audio 0 RTP/AVP 0\r\n'.repeat(LINES_LIMIT - 2);
    expect(readDescription(full).lines).toHaveLength(LINES_LIMIT);
  });
});

function ssrcs(count: number): string {
  return Array.from({ length: count }, (_, at) => `a=ssrc:${at + 1} cname:x`).join('\r\n');
}
