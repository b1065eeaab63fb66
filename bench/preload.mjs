// Loaded into the server's process with `node --import`: watches its main thread from the inside and reports over the
// message channel, so that the server itself is measured as it is.
import { stat } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const RESOLUTION_MS = 1;
const STAT_PAUSE_MS = 5;

if (isMainThread && process.send !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  /** @type {number[] | null} */
  let stats = null;

  const statOnce = () => {
    if (stats === null) return;
    const startedAt = performance.now();
    stat(process.execPath, () => {
      stats?.push(performance.now() - startedAt);
      setTimeout(statOnce, STAT_PAUSE_MS).unref();
    });
  };

  process.on('message', (question) => {
    switch (question.ask) {
      case 'watch':
        delay.reset();
        if (question.stat === true) {
          stats = [];
          statOnce();
        }
        break;
      case 'report': {
        const ascending = (stats ?? []).sort((a, b) => a - b);
        stats = null;
        process.send({
          // The monitor's timer itself takes its resolution; what goes beyond is the thread being busy.
          longest_slice_ms: Math.max(delay.max / 1e6 - RESOLUTION_MS, 0),
          slice_p99_ms: Math.max(delay.percentile(99) / 1e6 - RESOLUTION_MS, 0),
          stat_p50_ms: ascending[ascending.length >> 1] ?? null,
          stat_p99_ms: ascending[Math.floor(ascending.length * 0.99)] ?? null,
        });
        return;
      }
    }
    process.send({ ok: true });
  });
  // The channel must not keep a server alive that wants to stop.
  process.channel?.unref();
}
