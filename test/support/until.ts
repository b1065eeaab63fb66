import { setTimeout as delay } from 'node:timers/promises';

const DEADLINE_MS = 60_000;
const INTERVAL_MS = 5;

/**
 * Asks until the answer is neither undefined nor false, and returns it. For what no event tells.
 * @throws after the deadline, naming what was waited for.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  deadlineMs = DEADLINE_MS,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
    if (performance.now() > deadline) throw new Error(`Waited ${deadlineMs} ms for ${what}`);
    await delay(INTERVAL_MS);
  }
}
