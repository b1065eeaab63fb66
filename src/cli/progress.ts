import type { Terminal } from './terminal.js';

const TTY_EVERY_MS = 100;
const LINE_EVERY_MS = 5_000;

/** How far long work is, on the error output: one line kept up to date on a terminal, elsewhere one now and then. */
export interface Progress {
  show(text: string): void;
  /** Takes the line away. Calling it again is harmless. */
  end(): void;
}

export function createProgress({ err }: Pick<Terminal, 'err'>): Progress {
  // Short work needs no line elsewhere.
  let shownAt = err.isTTY ? Number.NEGATIVE_INFINITY : performance.now();
  let isOpen = false;
  return {
    show(text) {
      const now = performance.now();
      if (now - shownAt < (err.isTTY ? TTY_EVERY_MS : LINE_EVERY_MS)) return;
      shownAt = now;
      if (!err.isTTY) {
        err.write(`${text}\n`);
        return;
      }
      isOpen = true;
      err.write(`\r\u001b[K${text.slice(0, (err.columns ?? 80) - 1)}`);
    },
    end() {
      if (isOpen) err.write('\r\u001b[K');
      isOpen = false;
    },
  };
}

/** `robot_logs 1,200 of 5,000 rows (24 %)` */
export function rowsText(table: string, done: number, of: number): string {
  const percent = of === 0 ? 100 : Math.floor((done / of) * 100);
  return `${table} ${amount(done)} of ${amount(of)} rows (${percent} %)`;
}

export function amount(count: number): string {
  return count.toLocaleString('en-US');
}
