import { hash } from 'node:crypto';
import type { RawRow } from '../pages.js';

const MODULUS = 1n << 128n;

/** What a table holds, whatever the order of its rows: their number, and the sum of their digests in hex. */
export interface TableSum {
  rows: number;
  checksum: string;
}

/** Adds up the rows of a table. Two tables of the same sum hold the same rows. */
export function createTableSum(columns: readonly string[]) {
  const inOrder = columns.toSorted();
  let rows = 0;
  let sum = 0n;
  return {
    add(row: RawRow): void {
      const digest = hash('sha256', inOrder.map((name) => canonical(row[name])).join(''), 'hex');
      sum = (sum + BigInt(`0x${digest.slice(0, 32)}`)) % MODULUS;
      rows += 1;
    },
    read: (): TableSum => ({ rows, checksum: sum.toString(16).padStart(32, '0') }),
  };
}

/** The same text for the same value from either database; with its length, so that no two rows read alike. */
function canonical(value: unknown): string {
  if (value === null || value === undefined) return 'null;';
  if (typeof value === 'number') return `number ${value};`;
  if (value instanceof Uint8Array) return `bytes ${value.length} ${hash('sha256', value, 'hex')};`;
  if (typeof value === 'string') return `text ${value.length} ${value};`;
  throw new Error(`A value of type ${typeof value} has no canonical form`);
}
