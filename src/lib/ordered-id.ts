import { randomUUID } from 'node:crypto';
import type { Clock } from './clock.js';

const COUNTER_LIMIT = 0xfff;

/**
 * Makes ids (UUID version 7) that sort as text in the order in which they were made here, within one millisecond and
 * over a clock that is set back too. Ids of two makers sort by their milliseconds alone.
 */
export function createOrderedIds(clock: Pick<Clock, 'now'>): () => string {
  let ms = 0;
  let counter = 0;
  return () => {
    const now = clock.now();
    if (now > ms) {
      ms = now;
      counter = 0;
    } else if (counter < COUNTER_LIMIT) {
      counter += 1;
    } else {
      ms += 1;
      counter = 0;
    }
    const time = ms.toString(16).padStart(12, '0');
    const order = counter.toString(16).padStart(3, '0');
    // The variant and 62 random bits.
    const rest = randomUUID().slice(19);
    return `${time.slice(0, 8)}-${time.slice(8)}-7${order}-${rest}`;
  };
}
