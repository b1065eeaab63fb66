import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../config/units.js';

/** Readers of arguments: what they throw becomes the usage error of the option. */
export function readCount(text: string): number {
  return readNumber(
    text,
    'a whole number from 1 to 1000',
    (n) => Number.isInteger(n) && n >= 1 && n <= 1_000,
  );
}

export function readRate(text: string): number {
  return readNumber(text, 'a number from 0.01 to 1000', (n) => n >= 0.01 && n <= 1_000);
}

export function readSeed(text: string): number {
  return readNumber(
    text,
    'a whole number from 0 to 4294967295',
    (n) => Number.isInteger(n) && n >= 0 && n < 2 ** 32,
  );
}

export function readDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1_000 && ms <= 24 * 3_600_000) return ms;
  throw new InvalidArgumentError('It must be from 1s to 24h, with its unit: 60s, 5m.');
}

export function readPrefix(text: string): string {
  if (/^[\w.-]{1,100}$/.test(text)) return text;
  throw new InvalidArgumentError('It may hold letters, digits, "_", "-" and ".", at most 100.');
}

function readNumber(text: string, wanted: string, fits: (value: number) => boolean): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (fits(value)) return value;
  throw new InvalidArgumentError(`It must be ${wanted}.`);
}
