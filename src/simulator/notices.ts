import type { Clock } from '../lib/clock.js';

/** Tells once what all robots meet at once: the connection lost and back, a limit, a refusal. */
export interface Notices {
  lost(reason: string): void;
  reached(): void;
  slowDown(message: string, waitMs: number): void;
  refused(message: string): void;
  /** The last thing that went wrong. */
  last(): string | undefined;
}

const REPEAT_MS = 10_000;

export function createNotices(clock: Pick<Clock, 'now'>, tell: (line: string) => void): Notices {
  const toldAtMs = new Map<string, number>();
  let lostAtMs: number | undefined;
  let last: string | undefined;

  /** The same thing again only after a while. */
  function tellOnce(line: string): void {
    const now = clock.now();
    last = line;
    if (now - (toldAtMs.get(line) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    toldAtMs.set(line, now);
    tell(line);
  }

  return {
    lost(reason) {
      last = `connection lost: ${reason}`;
      if (lostAtMs !== undefined) return;
      lostAtMs = clock.now();
      tell(`${last}; trying again`);
    },
    reached() {
      if (lostAtMs === undefined) return;
      tell(`connected again after ${((clock.now() - lostAtMs) / 1_000).toFixed(1)} s`);
      lostAtMs = undefined;
    },
    slowDown: (message, waitMs) =>
      tellOnce(`the server asks for a pause: ${message} (waiting ${waitMs / 1_000} s)`),
    refused: (message) => tellOnce(`refused: ${message}`),
    last: () => last,
  };
}
