import { availableParallelism, networkInterfaces } from 'node:os';
import { after, type Clock } from '../../lib/clock.js';
import type { Logger } from '../../lib/logger.js';
import { MediaError } from '../provider.js';
import { type ListenOptions, listenInfos } from './listen.js';
import { watchLoad } from './load.js';
import { workerProblem } from './worker-binary.js';
import { createWorkerSlot, type EngineWorker, type WorkerSlot } from './worker-slot.js';

export interface PoolOptions extends ListenOptions {
  /** 0: one for each core. */
  workers: number;
  /** Of the first worker, UDP and TCP; each further one has the next. 0: any free ones. */
  rtcPort: number;
  /** The value of MEDIASOUP_WORKER_BIN. */
  workerBinary: string | undefined;
  clock: Clock;
  log: Logger;
}

/** mediasoup's worker processes. None runs until the first is wanted; from then on one for each core does. */
export interface Pool {
  /** The one with the least to do. @throws MediaError `unavailable` when none runs within a few seconds. */
  choose(): Promise<EngineWorker>;
  /** Why there can be no video, without starting anything. */
  problem(): string | undefined;
  /** Workers that run. */
  running(): number;
  /** Workers that died and were replaced. */
  restarts(): number;
  /** Resolves when all have ended. Idempotent; nothing can be chosen any more. */
  close(): Promise<void>;
}

const PATIENCE_MS = 5_000;
const RETRY_AFTER_MS = 5_000;

export function createPool(options: PoolOptions): Pool {
  const { workers, rtcPort, workerBinary, clock, log } = options;
  const waiting = new Set<() => void>();
  let opening: Promise<void> | undefined;
  let slots: WorkerSlot[] = [];
  let closing: Promise<void> | undefined;

  async function open(): Promise<void> {
    // About 19 MB and half a second, for servers that are never asked for video.
    const { createWorker } = await import('mediasoup');
    if (closing) throw unavailable('the server is stopping');
    const launch = (index: number) => async (): Promise<EngineWorker> => {
      const worker = await createWorker({ logLevel: 'error' });
      try {
        const load = watchLoad(worker);
        const port = rtcPort === 0 ? 0 : rtcPort + index;
        // A port may still be in use for a while after a worker with TCP clients has ended.
        const server = await worker.createWebRtcServer({
          listenInfos: listenInfos(options, port, networkInterfaces()),
        });
        return { worker, server, load };
      } catch (error) {
        worker.close();
        throw error;
      }
    };
    slots = Array.from({ length: workers || availableParallelism() }, (_, index) =>
      createWorkerSlot({ launch: launch(index), onChange, clock, log }),
    );
  }

  function onChange(): void {
    for (const wake of waiting) wake();
  }

  async function choose(): Promise<EngineWorker> {
    const missing = slots.length === 0 ? workerProblem(workerBinary) : undefined;
    if (missing !== undefined) throw unavailable(missing);
    opening ??= open();
    const mine = opening;
    try {
      await mine;
    } catch (error) {
      // It may work the next time: the set-up may be replacing the package.
      if (opening === mine) opening = undefined;
      if (error instanceof MediaError) throw error;
      log.error({ err: error }, 'mediasoup cannot be loaded');
      throw unavailable('mediasoup cannot be loaded; the log of the server says why');
    }
    let patient = true;
    const stop = after(clock, PATIENCE_MS, () => {
      patient = false;
      onChange();
    });
    try {
      for (;;) {
        if (closing) throw unavailable('the server is stopping');
        const best = leastLoaded();
        if (best) return best;
        if (!patient) throw unavailable('no worker of it runs; the log of the server says why');
        await change();
      }
    } finally {
      stop();
    }
  }

  function change(): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        waiting.delete(wake);
        resolve();
      };
      waiting.add(wake);
    });
  }

  function leastLoaded(): EngineWorker | undefined {
    let best: EngineWorker | undefined;
    for (const slot of slots) {
      const worker = slot.current();
      if (worker && (best === undefined || worker.load() < best.load())) best = worker;
    }
    return best;
  }

  function problem(): string | undefined {
    if (closing) return 'the server is stopping';
    if (slots.length === 0) return workerProblem(workerBinary);
    if (slots.some((slot) => slot.current())) return undefined;
    return slots[0]?.problem();
  }

  return {
    choose,
    problem,
    running: () => slots.filter((slot) => slot.current()).length,
    restarts: () => slots.reduce((sum, slot) => sum + slot.deaths(), 0),
    close: () =>
      (closing ??= (async () => {
        onChange();
        await opening?.catch(() => {});
        await Promise.all(slots.map((slot) => slot.close()));
      })()),
  };
}

function unavailable(reason: string): MediaError {
  return new MediaError('unavailable', `Video is not available: ${reason}`, {
    retryAfterMs: RETRY_AFTER_MS,
  });
}
