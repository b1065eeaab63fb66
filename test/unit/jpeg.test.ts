import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readJpegHeader } from '../../src/lib/jpeg.js';
import { jpeg } from '../support/jpeg.js';

const bytes = (...parts: (number[] | Uint8Array)[]) =>
  Buffer.concat(parts.map((p) => Buffer.from(p)));
const SOF = [0xff, 0xc2, 0, 11, 8, 0x01, 0x02, 0x03, 0x04, 1, 0, 0, 0];

describe('the header of a JPEG', () => {
  it('has its size', () => {
    expect(readJpegHeader(jpeg())).toEqual({ width: 16, height: 8 });
    expect(readJpegHeader(jpeg('a comment'))).toEqual({ width: 16, height: 8 });
  });

  it.each([
    ['progressive, with fill bytes and restart markers', [[0xff, 0xd8, 0xff, 0xff, 0xd0], SOF]],
    ['after a table of Huffman codes', [[0xff, 0xd8, 0xff, 0xc4, 0, 4, 0, 0], SOF]],
  ])('%s', (_, parts) => {
    const end = [0xff, 0xd9];
    expect(readJpegHeader(bytes(...parts, end))).toEqual({ width: 772, height: 258 });
    expect(readJpegHeader(bytes(...parts, end, [0, 0, 0]))).toEqual({ width: 772, height: 258 });
  });

  it.each([
    ['nothing', []],
    ['a beginning and an end', [0xff, 0xd8, 0xff, 0xd9]],
    ['something else', [...Buffer.from('<!doctype html>')]],
    ['no end', [0xff, 0xd8, ...SOF]],
    ['no size', [0xff, 0xd8, 0xff, 0xda, 0, 2, 0xff, 0xd9]],
    ['a size of nothing', [0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 0, 0, 4, 0xff, 0xd9]],
    ['a marker that is none', [0xff, 0xd8, 0x00, 0xc0, ...SOF, 0xff, 0xd9]],
    ['a length beyond its end', [0xff, 0xd8, 0xff, 0xe0, 0xff, 0xff, 0xff, 0xd9]],
    ['a length of nothing', [0xff, 0xd8, 0xff, 0xe0, 0, 0, 0xff, 0xd9]],
  ])('is not in %s', (_, given) => {
    expect(readJpegHeader(Uint8Array.from(given))).toBeUndefined();
  });

  it('is found, or not, in whatever there is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (rest) => {
        const header = readJpegHeader(bytes([0xff, 0xd8, 0xff], rest, [0xff, 0xd9]));
        expect(header === undefined || (header.width > 0 && header.height > 0)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});
