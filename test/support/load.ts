import { call } from './app.js';
import { until } from './until.js';

export interface Load {
  /** The event ids that the server has said to have stored. */
  acknowledged: string[];
  /** How every request ended that was not acknowledged: its status, or `closed` when no answer came. */
  failures: (number | 'closed')[];
  /** Resolves when at least so many are acknowledged. */
  reach(count: number): Promise<void>;
  /** Sends nothing more and resolves when every request has ended. */
  stop(): Promise<void>;
}

/** Pushes statuses to one robot over several connections at once, every tenth request a batch, until stopped. */
export function startLoad(options: {
  url: string;
  token: string;
  robotId: string;
  /** Sets the event ids apart from those of other loads. */
  tag: string;
  connections?: number;
}): Load {
  const { url, token, robotId, tag, connections = 16 } = options;
  const path = `${url}/api/v1/robots/${robotId}/status`;
  const load = { acknowledged: [] as string[], failures: [] as (number | 'closed')[] };
  let running = true;
  let sent = 0;

  async function sendOne(): Promise<void> {
    const isBatch = sent % 10 === 0;
    const ids = Array.from({ length: isBatch ? 20 : 1 }, () => `${tag}-${sent++}`);
    const samples = ids.map((event_id) => ({
      status: { local_position: { x: sent, y: 0 }, battery_level: 50 },
      timestamp: Date.now(),
      event_id,
    }));
    const target = isBatch ? `${path}/batch` : path;
    const answer = await call(target, 'POST', isBatch ? { samples } : samples[0], token).catch(
      () => undefined,
    );
    if (answer?.status === 200) load.acknowledged.push(...ids);
    else load.failures.push(answer?.status ?? 'closed');
  }
  async function work(): Promise<void> {
    while (running) {
      await sendOne();
      // A server that is gone stays gone.
      if (load.failures.length > 0) return;
    }
  }
  const workers = Promise.all(Array.from({ length: connections }, work));
  return {
    ...load,
    reach: async (count) =>
      void (await until(`${count} acknowledged`, () => load.acknowledged.length >= count)),
    async stop() {
      running = false;
      await workers;
    },
  };
}
