/** The source of time. Tests replace it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `task` about every `intervalMs`; the timer keeps no process alive. Returns the stop function. */
  every(intervalMs: number, task: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  every(intervalMs, task) {
    const timer = setInterval(task, intervalMs);
    timer.unref();
    return () => clearInterval(timer);
  },
};

/** Calls `task` once, about `delayMs` from now. Returns the function that calls it off. */
export function after(clock: Clock, delayMs: number, task: () => void): () => void {
  const stop = clock.every(delayMs, () => {
    stop();
    task();
  });
  return stop;
}
