/**
 * Order on the one writing connection: single writes go straight through while no transaction is open; a transaction
 * has the connection to itself until it is released, and what came in between follows in the order it came.
 */
export interface WriteGate {
  /** Resolves when a single write may be sent. */
  pass(): Promise<void> | undefined;
  /** Resolves when the caller's transaction may begin. `release` must follow. */
  enter(): Promise<void>;
  release(): void;
}

/** Waiting longer than this means that a transaction waits for itself (a query on the outer handle inside it). */
const WAIT_LIMIT_MS = 20_000;

export function createWriteGate(waitLimitMs = WAIT_LIMIT_MS): WriteGate {
  let held = false;
  const queue: { exclusive: boolean; start(): void }[] = [];

  function wait(exclusive: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const entry = {
        exclusive,
        start() {
          clearTimeout(timer);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        queue.splice(queue.indexOf(entry), 1);
        reject(
          new Error(
            `A write waited ${waitLimitMs} ms for an open transaction; is the outer handle used inside it?`,
          ),
        );
      }, waitLimitMs);
      timer.unref();
      queue.push(entry);
    });
  }
  return {
    pass: () => (held ? wait(false) : undefined),
    async enter() {
      if (held) return wait(true);
      held = true;
    },
    release() {
      held = false;
      while (!held) {
        const next = queue.shift();
        if (!next) return;
        held = next.exclusive;
        next.start();
      }
    },
  };
}
