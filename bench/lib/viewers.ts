import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child, typescriptArgs } from './child.js';

export type ViewerKind = 'ws' | 'trpc-ws' | 'sse' | 'trpc-sse';

export type ViewersQuestion =
  | {
      ask: 'open';
      port: number;
      kind: ViewerKind;
      viewers: number;
      /** Whether all make their request under the same id, as dashboards of one build do. */
      ids: 'same' | 'each';
      reads: boolean;
    }
  /** From now on, from zero. */
  | { ask: 'count'; latencies: boolean }
  | { ask: 'report' }
  | { ask: 'close' };

export interface ViewersAnswer {
  count: number;
  latencies_us: number[];
}

const ARRIVAL_LIMIT_MS = 10_000;
const LOOK_EVERY_MS = 20;

/** The process that watches. */
export class Viewers {
  readonly #child: Child;

  constructor(directory: string) {
    this.#child = new Child({
      args: typescriptArgs('generator/viewers.ts'),
      cwd: directory,
      outputPath: join(directory, 'viewers.log'),
    });
  }

  ask(question: ViewersQuestion): Promise<ViewersAnswer> {
    return this.#child.ask<ViewersAnswer>(question);
  }

  /** What has arrived when that is as much as expected, or no more comes within a while. */
  async reach(expected: number): Promise<ViewersAnswer> {
    const limitMs = performance.now() + ARRIVAL_LIMIT_MS;
    for (;;) {
      const answer = await this.ask({ ask: 'report' });
      if (answer.count >= expected || performance.now() > limitMs) return answer;
      await sleep(LOOK_EVERY_MS);
    }
  }

  close(): Promise<void> {
    return this.#child.kill();
  }
}
