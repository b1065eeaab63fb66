import type { WebRtcServer, Worker } from 'mediasoup/types';
import { after, type Clock } from '../../lib/clock.js';
import type { Logger } from '../../lib/logger.js';

/** A worker process that runs, and the ports its clients come to. */
export interface EngineWorker {
  worker: Worker;
  server: WebRtcServer;
  /** Things open in it. */
  load(): number;
}

/** One core's worker: started, and started again whenever it dies, later each time that it does not last. */
export interface WorkerSlot {
  /** Undefined while there is none. */
  current(): EngineWorker | undefined;
  /** Why the last one ended or did not start; undefined while one runs. */
  problem(): string | undefined;
  /** Workers that died. */
  deaths(): number;
  /** Resolves when the process has ended. Idempotent. */
  close(): Promise<void>;
}

export interface WorkerSlotDeps {
  /** @throws when it does not start. */
  launch: () => Promise<EngineWorker>;
  /** It runs, or is gone. */
  onChange: () => void;
  clock: Clock;
  log: Logger;
}

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;
/** One that lasted this long was sound, so the next is started without much delay. */
const SOUND_AFTER_MS = 60_000;
/** After this the process is left to end by itself: it does when its pipes close. */
const CLOSE_PATIENCE_MS = 1_000;

export function createWorkerSlot(deps: WorkerSlotDeps): WorkerSlot {
  const { launch, onChange, clock, log } = deps;
  let current: EngineWorker | undefined;
  let problem: string | undefined = 'it is being started';
  let failures = 0;
  let deaths = 0;
  let closing: Promise<void> | undefined;
  let cancelRetry = () => {};
  let starting = start();

  async function start(): Promise<void> {
    try {
      const started = await launch();
      // Wanted no longer; the caller of close() waits for this very start.
      if (closing) return void (await end(started.worker));
      if (started.worker.closed) throw new Error('it died as soon as it was started');
      const sinceMs = clock.now();
      started.worker.once('died', (error) => {
        deaths += 1;
        current = undefined;
        if (clock.now() - sinceMs >= SOUND_AFTER_MS) failures = 0;
        retry(`it died ${error.message}`);
      });
      current = started;
      problem = undefined;
      onChange();
    } catch (error) {
      retry(error instanceof Error ? error.message : String(error));
    }
  }

  function retry(reason: string): void {
    problem = reason;
    const delayMs = Math.min(FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS);
    failures += 1;
    onChange();
    if (closing) return;
    cancelRetry = after(clock, delayMs, () => {
      // Not before: Ctrl-C reaches the workers too, and then this never comes.
      log.error({ reason, delay_ms: delayMs }, 'a media worker is started again');
      starting = start();
    });
  }

  async function close(): Promise<void> {
    cancelRetry();
    await starting;
    if (current) await end(current.worker);
    current = undefined;
  }

  return {
    current: () => current,
    problem: () => problem,
    deaths: () => deaths,
    close: () => (closing ??= close()),
  };
}

function end(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(resolve, CLOSE_PATIENCE_MS);
    const done = () => {
      clearTimeout(late);
      resolve();
    };
    if (worker.subprocessClosed) return done();
    worker.once('subprocessclose', done);
    worker.close();
  });
}
