import { TURN_BYTES } from './in-turns.js';
import {
  amount,
  cutOff,
  isDigit,
  isLineEnd,
  isSpace,
  PgmError,
  type PgmHeader,
  sampleBytes,
} from './pgm.js';

/** Grey levels row by row from the top, over the whole range of their type: white is 255 or 65,535. */
export type GreyPixels = Uint8Array | Uint16Array;

/**
 * Checks that every sample is there and none is above the largest value. A turn at every yield.
 * @throws PgmError
 */
export function* checkSamples(bytes: Uint8Array, header: PgmHeader): Generator<void, void> {
  if (header.format === 'P2') yield* readPlain(bytes, header);
  else if (header.max_value !== fullRange(header)) yield* readBinary(bytes, header);
}

/**
 * The image's pixels; those of an 8-bit P5 may be part of `bytes`. A turn at every yield.
 * @throws PgmError
 */
export function* greyPixels(bytes: Uint8Array, header: PgmHeader): Generator<void, GreyPixels> {
  const { format, width, height, max_value, data_offset } = header;
  const samples = width * height;
  if (format === 'P5' && max_value === 255)
    return bytes.subarray(data_offset, data_offset + samples);
  const pixels = sampleBytes(header) === 1 ? new Uint8Array(samples) : new Uint16Array(samples);
  const white = fullRange(header);
  function store(index: number, value: number): void {
    // Multiplied first: a rounded quotient would turn some exact halves down.
    pixels[index] = Math.round((value * white) / max_value);
  }
  yield* format === 'P2' ? readPlain(bytes, header, store) : readBinary(bytes, header, store);
  return pixels;
}

type Store = (index: number, value: number) => void;

function fullRange(header: PgmHeader): number {
  return sampleBytes(header) === 1 ? 255 : 65_535;
}

function* readBinary(bytes: Uint8Array, header: PgmHeader, store?: Store): Generator<void, void> {
  const { width, height, max_value, data_offset } = header;
  const size = sampleBytes(header);
  const samples = width * height;
  for (let index = 0; index < samples; index += 1) {
    const at = data_offset + index * size;
    const high = bytes[at] as number;
    const value = size === 1 ? high : high * 256 + (bytes[at + 1] as number);
    if (value > max_value) throw tooLarge(index, value, header);
    store?.(index, value);
    if (index % TURN_BYTES === TURN_BYTES - 1) yield;
  }
}

function* readPlain(bytes: Uint8Array, header: PgmHeader, store?: Store): Generator<void, void> {
  const { width, height, max_value } = header;
  const samples = width * height;
  let index = 0;
  let value = -1;
  let isComment = false;
  // One step beyond the end, because the last number may end there.
  for (let at = header.data_offset; at <= bytes.length && index < samples; at += 1) {
    const byte = bytes[at];
    if (isComment) {
      isComment = byte !== undefined && !isLineEnd(byte);
    } else if (isDigit(byte)) {
      value = (value < 0 ? 0 : value * 10) + (byte - 0x30);
      if (value > max_value) throw tooLarge(index, value, header);
    } else {
      if (byte === 0x23) isComment = true;
      else if (byte !== undefined && !isSpace(byte)) {
        throw new PgmError(`must have a number for each pixel; byte ${at} belongs to none`);
      }
      if (value >= 0) {
        store?.(index, value);
        index += 1;
        value = -1;
      }
    }
    if (at % TURN_BYTES === TURN_BYTES - 1) yield;
  }
  if (index < samples) throw cutOff(header, `${amount(samples)} numbers`, amount(index));
}

function tooLarge(index: number, value: number, { width, max_value }: PgmHeader): PgmError {
  const place = `column ${index % width}, row ${Math.floor(index / width)}`;
  return new PgmError(`must have no value above its largest, ${max_value}; ${place} has ${value}`);
}
