import type { RawRow } from '../pages.js';
import type { FindingKind } from './findings.js';
import { type ReadInstant, readInstant } from './instants.js';

/** Why a row cannot be taken over as it is. */
export class Rejection extends Error {
  override readonly name = 'Rejection';
}

/**
 * The values of one row of the original in the types of ours. What has to be there and is not, or is of another kind,
 * throws a Rejection.
 */
export interface Cells {
  isSet(column: string): boolean;
  id(column: string): number;
  text(column: string): string;
  /** An empty text is none: Go knows no other way to say so. */
  textOrNull(column: string): string | null;
  instant(column: string): number;
  /** Go's zero time is none. One that cannot be read is `fallback`, and a finding. */
  instantOr<T>(column: string, fallback: T): number | T;
  realOrNull(column: string): number | null;
  bitOrNull(column: string): 0 | 1 | null;
  bytes(column: string): Uint8Array;
}

export interface CellsOptions {
  note(kind: FindingKind, what: string): void;
  onInstant(instant: ReadInstant): void;
}

const ZERO_MS = -62_135_596_800_000;

export function cellsOf(raw: RawRow, { note, onInstant }: CellsOptions): Cells {
  function readText(column: string): string | null {
    const value = raw[column];
    if (value === null || value === undefined) return null;
    const text = value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : String(value);
    if (!text.includes('\0')) return text;
    note('changed', `${column}: NUL characters, which PostgreSQL cannot store, became U+FFFD`);
    return text.replaceAll('\0', '\ufffd');
  }
  function readTime(column: string): number | undefined {
    const instant = readInstant(raw[column]);
    if (instant) onInstant(instant);
    return instant?.ms;
  }
  function isEmpty(column: string): boolean {
    const value = raw[column];
    return value === null || value === undefined || value === '';
  }
  function readReal(column: string): number | null {
    if (isEmpty(column)) return null;
    const value = Number(raw[column]);
    if (Number.isFinite(value)) return value;
    note('changed', `${column}: what is not a number became null`);
    return null;
  }
  return {
    isSet: (column) => raw[column] !== null && raw[column] !== undefined,
    id(column) {
      const value = Number(raw[column] ?? Number.NaN);
      if (Number.isSafeInteger(value) && value > 0) return value;
      throw new Rejection(`${column} is not a positive integer`);
    },
    text(column) {
      const text = readText(column);
      if (text === null) throw new Rejection(`${column} is missing`);
      return text;
    },
    textOrNull: (column) => readText(column) || null,
    instant(column) {
      if (isEmpty(column)) throw new Rejection(`${column} is missing`);
      const ms = readTime(column);
      if (ms === undefined) throw new Rejection(`${column} is not a time that can be read`);
      if (ms === ZERO_MS) note('note', `${column} is Go's zero time, the year 1`);
      return ms;
    },
    instantOr(column, fallback) {
      if (isEmpty(column)) return fallback;
      const ms = readTime(column);
      if (ms === ZERO_MS) return fallback;
      if (ms !== undefined) return ms;
      note('changed', `${column} is not a time that can be read, and was replaced`);
      return fallback;
    },
    realOrNull: readReal,
    bitOrNull(column) {
      const value = raw[column];
      if (typeof value === 'boolean') return value ? 1 : 0;
      if (typeof value === 'string' && /^(t|f)(rue|alse)?$/i.test(value)) {
        return /^t/i.test(value) ? 1 : 0;
      }
      const number = readReal(column);
      return number === null ? null : number === 0 ? 0 : 1;
    },
    bytes(column) {
      const value = raw[column];
      if (value instanceof Uint8Array) return value;
      if (typeof value === 'string') return Buffer.from(value);
      throw new Rejection(`${column} is missing`);
    },
  };
}
