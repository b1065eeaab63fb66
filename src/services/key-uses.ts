import { LRUCache } from 'lru-cache';
import type { Db } from '../db/client.js';
import { markKeysUsed } from '../db/repositories/api-keys.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';

export const USE_NOTED_EVERY_MS = 60_000;
const USES_WRITTEN_EVERY_MS = 5_000;
/** Keeps several processes from writing the same key's use more often than one would. */
const WRITTEN_USE_KEPT_MS = USE_NOTED_EVERY_MS - USES_WRITTEN_EVERY_MS;
const WRITE_CHUNK = 500;
const NOTED_LIMIT = 10_000;

export interface KeyUses {
  /** Notes a use of the secret with this hash. */
  note(secretHash: string, now: number): void;
  /** When a use was last noted here; 0 for never. */
  notedAt(secretHash: string): number;
  /** Writes what is still in memory. */
  close(): Promise<void>;
}

/** Last uses of API keys, kept off the path of the request: noted in memory, written together every few seconds. */
export function createKeyUses({ db, clock, log }: { db: Db; clock: Clock; log: Logger }): KeyUses {
  const noted = new LRUCache<string, number>({ max: NOTED_LIMIT });
  const unwritten = new Map<string, number>();
  let writing = Promise.resolve();

  async function write(): Promise<void> {
    const [earliest] = unwritten.values();
    if (earliest === undefined) return;
    const secretHashes = [...unwritten.keys()];
    unwritten.clear();
    try {
      for (let start = 0; start < secretHashes.length; start += WRITE_CHUNK) {
        const chunk = secretHashes.slice(start, start + WRITE_CHUNK);
        await markKeysUsed(db, chunk, earliest, earliest - WRITTEN_USE_KEPT_MS);
      }
    } catch (error) {
      log.warn({ err: error }, 'the last use of API keys could not be written');
    }
  }
  function writeSoon(): Promise<void> {
    writing = writing.then(write);
    return writing;
  }
  const stop = clock.every(USES_WRITTEN_EVERY_MS, () => void writeSoon());
  return {
    note(secretHash, now) {
      noted.set(secretHash, now);
      unwritten.set(secretHash, now);
    },
    notedAt: (secretHash) => noted.get(secretHash) ?? 0,
    async close() {
      stop();
      await writeSoon();
    },
  };
}
