import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

/** What a computation gets through in well under a millisecond or two, between two turns of the event loop. */
export const TURN_BYTES = 128 * 1024;

/** Runs a long computation; at each of its yields everything else in the process has its turn. */
export async function inTurns<T>(work: Generator<void, T>): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    await setImmediate();
  }
}

/** The SHA-256 of `bytes` in hex. */
export function* sha256(bytes: Uint8Array): Generator<void, string> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += TURN_BYTES) {
    if (at > 0) yield;
    hash.update(bytes.subarray(at, at + TURN_BYTES));
  }
  return hash.digest('hex');
}
