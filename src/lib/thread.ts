import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts a worker thread from the module `name` beside the caller. Threads run compiled code alone: when the caller
 * itself runs from sources (the tests), the twin under `dist/` is used, so that must have been built.
 */
export function startThread(name: string, callerUrl: string, options: WorkerOptions): Worker {
  const beside = new URL(`./${name}.js`, callerUrl);
  const compiled = callerUrl.endsWith('.ts')
    ? new URL(beside.href.replace('/src/', '/dist/'))
    : beside;
  return new Worker(compiled, options);
}
