import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * Why no worker can be started, or undefined when one can. Cheap enough to ask whenever a room is opened, so that video
 * switches on as soon as the set-up has provided the worker. Does not load mediasoup.
 * @param given the value of MEDIASOUP_WORKER_BIN, which mediasoup reads for itself
 */
export function workerProblem(given: string | undefined): string | undefined {
  if (given) {
    return existsSync(given) ? undefined : 'MEDIASOUP_WORKER_BIN names a file that is not there';
  }
  const place = defaultPlace();
  if (place === undefined) return 'the package mediasoup is not installed';
  if (existsSync(place)) return undefined;
  return "mediasoup's worker is not there (yet); `npm start` in the project provides it, or set MEDIASOUP_WORKER_BIN";
}

/** Where mediasoup looks when it is told nothing. */
function defaultPlace(): string | undefined {
  try {
    const index = createRequire(import.meta.url).resolve('mediasoup');
    return join(dirname(index), '../../worker/out/Release/mediasoup-worker');
  } catch {
    return undefined;
  }
}
