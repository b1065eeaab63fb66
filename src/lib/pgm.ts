/** What is wrong with a PGM, as the rest of a sentence about it. */
export class PgmError extends Error {
  override readonly name = 'PgmError';
}

export interface PgmHeader {
  /** `P2` has its samples as text, `P5` as bytes. */
  format: 'P2' | 'P5';
  width: number;
  height: number;
  /** The sample that is white, 1 to 65,535. Above 255 a sample of P5 takes two bytes, the high one first. */
  max_value: number;
  /** Where the samples begin. */
  data_offset: number;
}

/** Comments are read at one go, so there is an end to them. */
const HEADER_LIMIT_BYTES = 65_536;
const LARGEST_VALUE = 65_535;
const DIGITS_LIMIT = 10;

const HASH = 0x23;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= CARRIAGE_RETURN);
}

export function isDigit(byte: number | undefined): byte is number {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

export function isLineEnd(byte: number | undefined): boolean {
  return byte === LINE_FEED || byte === CARRIAGE_RETURN;
}

/**
 * Reads the header and checks that the samples it speaks of can be there, without making room for any. Comments may
 * stand anywhere before the samples; what follows the first image is ignored, as the format allows.
 * @throws PgmError
 */
export function readPgmHeader(bytes: Uint8Array, pixelLimit: number): PgmHeader {
  const format = readMagic(bytes);
  const [width, afterWidth] = readNumber(bytes, 2, 'width');
  const [height, afterHeight] = readNumber(bytes, afterWidth, 'height');
  const [max_value, end] = readNumber(bytes, afterHeight, 'largest value');
  if (width < 1 || height < 1) {
    throw new PgmError(`must have at least one pixel, its header says ${width} x ${height}`);
  }
  if (max_value < 1 || max_value > LARGEST_VALUE) {
    throw new PgmError(`must have a largest value from 1 to 65,535, its header says ${max_value}`);
  }
  if (width * height > pixelLimit) {
    throw new PgmError(
      `must have at most ${amount(pixelLimit)} pixels, its header says ${amount(width)} x ${amount(height)}`,
    );
  }
  const data_offset = format === 'P2' ? end : endOfBinaryHeader(bytes, end);
  const header: PgmHeader = { format, width, height, max_value, data_offset };
  checkLength(bytes.length - data_offset, header);
  return header;
}

/** What each sample takes in a P5, or in memory. */
export function sampleBytes({ max_value }: Pick<PgmHeader, 'max_value'>): 1 | 2 {
  return max_value > 255 ? 2 : 1;
}

/** The sentence for a file that ends before its samples do. */
export function cutOff({ width, height }: PgmHeader, needed: string, found: string): PgmError {
  return new PgmError(`is cut off: ${width} x ${height} pixels need ${needed}, found ${found}`);
}

export function amount(count: number): string {
  return count.toLocaleString('en-US');
}

function readMagic(bytes: Uint8Array): 'P2' | 'P5' {
  const [first, second, third] = bytes;
  const isPgm = first === 0x50 && (second === 0x32 || second === 0x35);
  if (!isPgm || !(isSpace(third) || third === HASH)) {
    throw new PgmError('must be a PGM image: it has to begin with P2 or P5 and a space');
  }
  return second === 0x32 ? 'P2' : 'P5';
}

/** The next number of the header, and where it ends. */
function readNumber(bytes: Uint8Array, from: number, name: string): [number, number] {
  let at = skipSpace(bytes, from);
  const start = at;
  let value = 0;
  for (let byte = bytes[at]; isDigit(byte); byte = bytes[++at]) {
    value = value * 10 + (byte - 0x30);
    if (at - start >= DIGITS_LIMIT) throw new PgmError(`has a ${name} of too many digits`);
  }
  if (at === start) {
    const found = at < bytes.length ? `byte ${at} is none` : 'the file ends';
    throw new PgmError(`must have a number for its ${name} in the header; ${found}`);
  }
  if (at < bytes.length && !isSpace(bytes[at]) && bytes[at] !== HASH) {
    throw new PgmError(`must have a space after its ${name}, at byte ${at}`);
  }
  return [value, at];
}

/** Where the next thing that is neither space nor comment stands. */
function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  for (; at < bytes.length; at += 1) {
    if (bytes[at] === HASH) at = endOfLine(bytes, at);
    else if (!isSpace(bytes[at])) break;
    if (at > HEADER_LIMIT_BYTES) {
      throw new PgmError(`must have a header of at most ${amount(HEADER_LIMIT_BYTES)} bytes`);
    }
  }
  return at;
}

function endOfLine(bytes: Uint8Array, from: number): number {
  const limit = Math.min(bytes.length, HEADER_LIMIT_BYTES + 1);
  let at = from;
  while (at < limit && !isLineEnd(bytes[at])) at += 1;
  return at;
}

/** One space ends a binary header, or a comment with the end of its line: everything behind it is samples. */
function endOfBinaryHeader(bytes: Uint8Array, end: number): number {
  const last = bytes[end] === HASH ? endOfLine(bytes, end) : end;
  return Math.min(last + 1, bytes.length);
}

function checkLength(present: number, header: PgmHeader): void {
  const { format, width, height } = header;
  const samples = width * height;
  if (format === 'P5') {
    const needed = samples * sampleBytes(header);
    if (present < needed) throw cutOff(header, bytesOf(needed), bytesOf(present));
  } else if (present < samples * 2) {
    // The shortest text is one digit and one space each.
    throw cutOff(header, `at least ${bytesOf(samples * 2)}`, bytesOf(present));
  }
}

function bytesOf(count: number): string {
  return `${amount(count)} bytes`;
}
