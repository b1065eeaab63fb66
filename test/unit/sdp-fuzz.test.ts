import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MediaError } from '../../src/media/provider.js';
import { readDescription, SDP_LIMIT_BYTES } from '../../src/media/sdp/offer.js';
import {
  answerTo,
  clashes,
  FIXTURES,
  fixture,
  linesOf,
  startSession,
  track,
} from '../support/sdp.js';

const TEXTS = FIXTURES.map(fixture);
/** Far above what reading takes on a slow machine, far below what would be felt as a hang. */
const READ_LIMIT_MS = 1_000;

function read(sdp: string): boolean {
  const begun = performance.now();
  try {
    readDescription(sdp);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(MediaError);
    return false;
  } finally {
    expect(performance.now() - begun).toBeLessThan(READ_LIMIT_MS);
  }
}

const base = fc.constantFrom(...TEXTS);
const position = fc.noBias(fc.nat({ max: 9_999 })).map((n) => n / 10_000);

/** Bytes changed, taken out and put in. */
const mutated = fc
  .tuple(
    base,
    fc.array(
      fc.record({
        at: position,
        remove: fc.nat({ max: 8 }),
        insert: fc.oneof(
          fc.string({ maxLength: 6, unit: 'binary' }),
          fc.constantFrom(
            '\r\n',
            '\0',
            ' ',
            ':',
            ';',
            '=',
            '~',
            '-1',
            '4294967296',
            '1e9',
            '__proto__',
          ),
        ),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  )
  .map(([text, edits]) => {
    let result = text;
    for (const { at, remove, insert } of edits) {
      const from = Math.floor(at * result.length);
      result = result.slice(0, from) + insert + result.slice(from + remove);
    }
    return result;
  });

/** Whole lines repeated, dropped and moved, within a text and from one to another. */
const shuffled = fc
  .tuple(
    base,
    base,
    fc.array(
      fc.record({ from: position, to: position, times: fc.nat({ max: 3 }), drop: fc.boolean() }),
      {
        minLength: 1,
        maxLength: 12,
      },
    ),
  )
  .map(([text, other, moves]) => {
    const lines = text.split('\r\n');
    const foreign = other.split('\r\n');
    for (const { from, to, times, drop } of moves) {
      const line = foreign[Math.floor(from * (foreign.length - 1))] ?? '';
      const at = Math.floor(to * lines.length);
      lines.splice(at, drop ? 1 : 0, ...Array<string>(times).fill(line));
    }
    return lines.join('\r\n');
  });

/** Attributes that are understood, with values that are not. */
const attributes = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        ...[
          'rtpmap:96',
          'fmtp:96',
          'fmtp:',
          'rtcp-fb:*',
          'rtcp-fb:96',
          'extmap:',
          'extmap:1',
          'ssrc:1',
        ],
        ...[
          'ssrc-group:FID',
          'rid:',
          'simulcast:',
          'simulcast: ',
          'mid:',
          'group:BUNDLE',
          'setup:',
        ],
        ...[
          'fingerprint:',
          'ice-ufrag:',
          'ice-pwd:',
          'candidate:',
          'msid:',
          'imageattr:',
          'mediaclk:',
        ],
      ),
      fc.string({ maxLength: 40 }),
    ),
    { maxLength: 30 },
  )
  .chain((lines) =>
    base.map((text) => {
      const added = lines.map(([name, value]) => `a=${name} ${value.replace(/[\r\n]/g, '')}\r\n`);
      return text + added.join('');
    }),
  );

const runs = { numRuns: 300 };

describe('hostile descriptions are read or refused, and nothing else', () => {
  it('any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (text) => void read(text)),
      runs,
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 500 }), (text) => void read(`v=0\r\nm=${text}`)),
      runs,
    );
  });

  it('offers with bytes changed', () => {
    let understood = 0;
    fc.assert(
      fc.property(mutated, (text) => {
        if (read(text)) understood += 1;
      }),
      runs,
    );
    // Else the mutations would never get beyond the first check.
    expect(understood).toBeGreaterThan(runs.numRuns / 10);
  });

  it('offers with lines mixed up', () => {
    fc.assert(
      fc.property(shuffled, (text) => void read(text)),
      runs,
    );
  });

  it('known attributes with nonsense in them', () => {
    fc.assert(
      fc.property(attributes, (text) => void read(text)),
      runs,
    );
  });

  it.each([
    ['a=', 'a=\n'],
    ['a=x', 'a=x\n'],
    ['m=', 'm=audio 9 UDP/TLS/RTP/SAVPF 0\n'],
    ['a=rtpmap', 'a=rtpmap:96 VP8/90000\n'],
    ['a=rtcp-fb', 'a=rtcp-fb:* nack\n'],
    ['a=fmtp', 'a=fmtp:96 a=b;c=d\n'],
    ['one long simulcast', 'a,'],
    ['one long run of blanks', ' '],
    ['one long row of brackets', '['],
  ])('64 KiB of %s', (_, piece) => {
    const head = fixture('chromium-audio-video').replaceAll('\r\n', '\n');
    const room = SDP_LIMIT_BYTES - head.length - 40;
    for (const start of [
      '',
      'a=simulcast:send ',
      'a=imageattr:* send [',
      'a=fmtp:96 ',
      'a=mediaclk:',
    ]) {
      const text = head + start + piece.repeat(Math.floor(room / piece.length));
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(SDP_LIMIT_BYTES);
      read(text);
    }
  });
});

describe('a session with a hostile client', () => {
  it('answers or refuses, with no number of two meanings and the lines of the offer', async () => {
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(mutated, shuffled, base), { minLength: 1, maxLength: 4 }),
        async (offers) => {
          const { session, errors } = startSession();
          session.watch(track('a', 'audio'));
          session.watch(track('v', 'video'));
          for (const offer of offers) {
            let answer: string | null;
            try {
              answer = await session.offer(offer);
            } catch (error) {
              expect(error).toBeInstanceOf(MediaError);
              continue;
            }
            answered += 1;
            expect(clashes(answer!)).toEqual([]);
            expect(linesOf(answer!).map(({ media }) => media)).toEqual(
              linesOf(offer).map(({ media }) => media),
            );
          }
          expect(errors).toEqual([]);
          session.close();
        },
      ),
      { numRuns: 120 },
    );
    expect(answered).toBeGreaterThan(30);
  });

  it('survives answers of any kind', async () => {
    const offer = fixture('chromium-audio-video');
    await fc.assert(
      fc.asyncProperty(fc.oneof(mutated, shuffled), position, async (nonsense, cut) => {
        const { session, nextOffer } = startSession();
        await session.offer(offer);
        for (const id of ['v1', 'v2']) session.watch(track(id, 'video'));
        const ours = await nextOffer();
        const good = answerTo(ours, offer);
        for (const answer of [nonsense, good.slice(0, Math.floor(cut * good.length)), good]) {
          if (session.state !== 'offered') break;
          await session.answer(answer).catch((error: unknown) => {
            expect(error).toBeInstanceOf(MediaError);
          });
        }
        expect(session.state).toBe('stable');
        session.close();
      }),
      { numRuns: 60 },
    );
  });
});
