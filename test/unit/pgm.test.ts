import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inTurns, sha256 } from '../../src/lib/in-turns.js';
import { PgmError, type PgmHeader, readPgmHeader } from '../../src/lib/pgm.js';
import { checkSamples, greyPixels } from '../../src/lib/pgm-samples.js';

const LIMIT = 1_000_000;
const file = (name: string) => readFileSync(join(import.meta.dirname, '../fixtures/maps', name));
const text = (content: string, ...samples: number[]) =>
  Buffer.concat([Buffer.from(content, 'latin1'), Buffer.from(samples)]);

async function read(bytes: Uint8Array): Promise<{ header: PgmHeader; pixels: number[] }> {
  const header = readPgmHeader(bytes, LIMIT);
  await inTurns(checkSamples(bytes, header));
  return { header, pixels: [...(await inTurns(greyPixels(bytes, header)))] };
}

async function problemOf(bytes: Uint8Array): Promise<string> {
  const error = await read(bytes).then(
    ({ header }) => expect.unreachable(`was read: ${JSON.stringify(header)}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PgmError)) throw error;
  return error.message;
}

describe('files of the format', () => {
  const size = { width: 4, height: 3 };
  const wide = [0, 21_845, 43_690, 65_535, 65_535, 43_690, 21_845, 0, 256, 255, 1, 65_534];

  it('plain, with comments everywhere and a white of 15', async () => {
    const { header, pixels } = await read(file('plain.pgm'));
    expect(header).toMatchObject({ format: 'P2', ...size, max_value: 15 });
    expect(pixels).toEqual([0, 85, 170, 255, 255, 170, 85, 0, 119, 119, 119, 119]);
  });
  it('plain, 16 bit, without an end of line', async () => {
    const { header, pixels } = await read(file('plain-16.pgm'));
    expect(header).toMatchObject({ format: 'P2', ...size, max_value: 65_535 });
    expect(pixels).toEqual(wide);
  });
  it('binary, 8 bit', async () => {
    const { header, pixels } = await read(file('binary.pgm'));
    expect(header).toMatchObject({ format: 'P5', ...size, max_value: 255 });
    expect(pixels).toEqual([0, 85, 170, 255, 255, 170, 85, 0, 205, 254, 10, 35]);
  });
  it('binary, 16 bit, the high byte first', async () => {
    const { header, pixels } = await read(file('binary-16.pgm'));
    expect(header).toMatchObject({ format: 'P5', ...size, max_value: 65_535 });
    expect(pixels).toEqual(wide);
  });
});

describe('what is read', () => {
  it.each([
    ['a space as the end of the header', text('P5 2 1 255 ', 10, 32), [10, 32]],
    ['a sample that looks like a line feed', text('P5\n2 1\n255\n', 10, 10), [10, 10]],
    ['a sample that looks like a comment', text('P5\n2 1\n255\n', 35, 65), [35, 65]],
    ['a comment as the end of the header', text('P5\n2 1\n255# white\n', 10, 35), [10, 35]],
    ['a comment right behind a number', text('P5#a\n2#b\n1#c\n255\n', 1, 2), [1, 2]],
    ['a comment that ends with a carriage return', text('P5 #a\r2 1 255\n', 1, 2), [1, 2]],
    ['every kind of space', text('P5\t2\v1\f255\r', 1, 2), [1, 2]],
    ['zeros before numbers', text('P5 0002 01 00255\n', 1, 2), [1, 2]],
    ['what follows the first image', text('P5 2 1 255\n', 1, 2, 3, 4), [1, 2]],
    ['what follows the last number', text('P2 2 1 255\n1 2 3 x'), [1, 2]],
    ['a white of 1', text('P5 2 1 1\n', 0, 1), [0, 255]],
    ['a white of 256', text('P5 2 1 256\n', 0, 128, 1, 0), [32_768, 65_535]],
    ['numbers with zeros before', text('P2 2 1 255 001 0000002'), [1, 2]],
    ['a comment as the end of a number', text('P2 2 1 255 1#x\n2'), [1, 2]],
  ])('%s', async (_name, bytes, pixels) => {
    expect((await read(bytes)).pixels).toEqual(pixels);
  });
});

describe('what is refused', () => {
  it.each([
    ['', /has to begin with P2 or P5/],
    ['P', /has to begin with P2 or P5/],
    ['P6 1 1 255\n', /has to begin with P2 or P5/],
    ['P52 1 255\n', /has to begin with P2 or P5/],
    ['\u0089PNG\r\n', /has to begin with P2 or P5/],
    ['P5', /has to begin with P2 or P5/],
    ['P5\n', /a number for its width in the header; the file ends/],
    ['P5 4', /a number for its height in the header; the file ends/],
    ['P5 4 x', /a number for its height in the header; byte 5 is none/],
    ['P5 -4 3 255\n', /a number for its width in the header; byte 3 is none/],
    ['P5 4.5 3 255\n', /a space after its width, at byte 4/],
    ['P5 4 3', /a number for its largest value/],
    ['P5 0 3 255\n', /at least one pixel, its header says 0 x 3/],
    ['P5 3 0 255\n', /at least one pixel, its header says 3 x 0/],
    ['P5 1 1 0\n\0', /from 1 to 65,535, its header says 0/],
    ['P5 1 1 65536\n\0\0', /from 1 to 65,535, its header says 65536/],
    ['P5 1 1 255', /1 x 1 pixels need 1 bytes, found 0 bytes/],
    ['P5 2 2 255\n\0\0\0', /2 x 2 pixels need 4 bytes, found 3 bytes/],
    ['P5 2 2 256\n\0\0\0\0\0\0\0', /2 x 2 pixels need 8 bytes, found 7 bytes/],
    ['P2 2 2 255\n1 2 3', /2 x 2 pixels need at least 8 bytes, found 6 bytes/],
    ['P2 2 2 255\n11 12 13\n', /2 x 2 pixels need 4 numbers, found 3/],
    ['P2 2 2 255\n1 2 3 # 4\n', /2 x 2 pixels need 4 numbers, found 3/],
    ['P2 2 1 255\n1 256', /no value above its largest, 255; column 1, row 0 has 256/],
    ['P2 1 2 255\n1 -6', /a number for each pixel; byte 13 belongs to none/],
    ['P2 1 2 255\n1 2.5', /a number for each pixel; byte 14 belongs to none/],
    ['P5 2 2 7\n\x01\x02\x03\x08', /no value above its largest, 7; column 1, row 1 has 8/],
    ['P5 1 1 256\n\x01\x01', /no value above its largest, 256; column 0, row 0 has 257/],
    ['P5 1001 1000 255\n', /at most 1,000,000 pixels, its header says 1,001 x 1,000/],
    ['P5 1000000000 1000000000 255\n', /at most 1,000,000 pixels/],
    ['P2 9999999999 9999999999 255\n', /at most 1,000,000 pixels/],
    ['P5 99999999999 1 255\n', /a width of too many digits/],
    [`P5 ${'9'.repeat(100_000)} 1 255\n`, /a width of too many digits/],
    [`P5 #${'x'.repeat(70_000)}\n1 1 255\n`, /a header of at most 65,536 bytes/],
    [`P5 ${'#\n'.repeat(40_000)}1 1 255\n`, /a header of at most 65,536 bytes/],
  ])('%.60j', async (content, problem) => {
    expect(await problemOf(text(content))).toMatch(problem);
  });

  it('makes no room for pixels that are not there', () => {
    const before = process.memoryUsage().arrayBuffers;
    const bytes = text('P5 1000000000 1000000000 65535\n', 1, 2, 3);
    const started = performance.now();
    for (let n = 0; n < 1_000; n += 1) {
      expect(() => readPgmHeader(bytes, Number.MAX_SAFE_INTEGER)).toThrow(PgmError);
    }
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
  });
});

describe('any image', () => {
  const image = fc
    .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }))
    .chain(([width, height]) =>
      fc.integer({ min: 1, max: 65_535 }).chain((max) =>
        fc.record({
          width: fc.constant(width),
          height: fc.constant(height),
          max: fc.constant(max),
          samples: fc.array(fc.integer({ min: 0, max }), {
            minLength: width * height,
            maxLength: width * height,
          }),
        }),
      ),
    );
  const gap = fc.array(fc.constantFrom(' ', '\n', '\t', '\r\n', '# comment 1 2\n'), {
    minLength: 1,
    maxLength: 3,
  });

  it('is read alike in text and in bytes, whatever stands between its numbers', async () => {
    await fc.assert(
      fc.asyncProperty(image, gap, async ({ width, height, max, samples }, gaps) => {
        const between = gaps.join('');
        const head = [width, height, max].join(between);
        const plain = Buffer.from(`P2${between}${head}${between}${samples.join(between)}`);
        const bytes = samples.flatMap((value) => (max > 255 ? [value >> 8, value & 255] : [value]));
        const binary = text(`P5${between}${head}\n`, ...bytes);
        const white = max > 255 ? 65_535 : 255;
        const expected = samples.map((value) => Math.round((value * white) / max));
        expect((await read(plain)).pixels).toEqual(expected);
        expect((await read(binary)).pixels).toEqual(expected);
        const cut = binary.subarray(0, binary.length - 1);
        expect(await problemOf(cut)).toMatch(/^is cut off/);
      }),
      { numRuns: 300 },
    );
  });

  it('has halves rounded up', async () => {
    expect((await read(Buffer.from('P2 1 1 6800 5160'))).pixels).toEqual([49_730]);
  });

  it('is read or refused with a sentence, whatever the bytes', async () => {
    const start = fc.constantFrom('P2', 'P5', 'P2 2 2 255\n', 'P5 2 2 3\n', 'P5 1 1 300 ', '');
    const rest = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      fc
        .array(fc.constantFrom(' ', '\n', '#', '1', '255', '0', '65535', '99999999999', '-', 'P2'))
        .map((tokens) => Buffer.from(tokens.join(' '))),
    );
    await fc.assert(
      fc.asyncProperty(start, rest, async (first, last) => {
        const bytes = Buffer.concat([Buffer.from(first), last]);
        try {
          const { header, pixels } = await read(bytes);
          expect(pixels).toHaveLength(header.width * header.height);
        } catch (error) {
          expect(error).toBeInstanceOf(PgmError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('long work', () => {
  const side = 1_000;
  const plain = Buffer.from(`P2 ${side} ${side} 9\n${'7 '.repeat(side * side)}`);

  it.each([
    ['checking text', (h: PgmHeader) => checkSamples(plain, h)],
    ['drawing text', (h: PgmHeader) => greyPixels(plain, h)],
    ['hashing', () => sha256(plain)],
  ])('%s gives everybody else a turn', async (_name, work) => {
    let turns = 0;
    let done = false;
    function turn(): void {
      turns += 1;
      if (!done) setImmediate(turn);
    }
    setImmediate(turn);
    await inTurns(work(readPgmHeader(plain, side * side)) as Generator<void, unknown>);
    done = true;
    expect(turns).toBeGreaterThan(10);
  });

  it('hashes as everybody does', async () => {
    expect(await inTurns(sha256(Buffer.from('abc')))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(await inTurns(sha256(new Uint8Array(0)))).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });
});
