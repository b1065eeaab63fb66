import { setMaxListeners } from 'node:events';
import type { Clock } from '../lib/clock.js';
import { drive } from './driver.js';
import { type Access, openEnrolment } from './enrolment.js';
import { SimulationError } from './failure.js';
import { createLink } from './link.js';
import { createMeter, type Reading } from './meter.js';
import { createNotices } from './notices.js';
import { createRandom } from './random.js';
import { createSimulatedRobot } from './robot.js';

export interface SimulationOptions {
  url: string;
  access: Access;
  robots: number;
  /** Statuses per second of each robot. */
  ratePerSecond: number;
  /** How long the robots' keys are to live. */
  keyLifeSeconds: number;
  seed: number;
  /** Robots are called `<prefix>-001` and so on. */
  prefix: string;
  clock: Clock;
  /** Ends the simulation. */
  signal: AbortSignal;
  /** Told in one line what changed. */
  tell: (line: string) => void;
  /** Given the way to read the counts, once the robots are about to start. */
  onStart: (read: () => Reading) => void;
}

/** What was under way when the end came has this long to get through. */
const LAST_ANSWERS_MS = 2_000;

/**
 * Drives a running server with robots until `signal`.
 * @throws SimulationError when it cannot begin, or a robot cannot be registered.
 */
export async function simulate(
  options: SimulationOptions,
): Promise<Reading & { problem: string | undefined }> {
  const { url, robots, ratePerSecond, seed, prefix, clock, signal, tell } = options;
  const link = createLink(url);
  const commandLink = createLink(url);
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  // Every robot waits on it.
  setMaxListeners(0, stop);
  try {
    const notices = createNotices(clock, tell);
    const enrolment = await openEnrolment({ ...options, link, notices, signal: stop });
    assertWithinLimit(robots, ratePerSecond, enrolment);
    const meter = createMeter(clock);
    options.onStart(meter.read);

    const driving = Array.from({ length: robots }, async (_, index) => {
      const random = createRandom(seed + index);
      await drive({
        robotId: `${prefix}-${String(index + 1).padStart(3, '0')}`,
        robot: createSimulatedRobot(index, random),
        random,
        link,
        commandLink,
        meter,
        notices,
        enrol: enrolment.enrol,
        periodMs: 1_000 / ratePerSecond,
        signal: stop,
      }).catch((error: unknown) => {
        if (stop.aborted) return;
        failed.abort();
        throw error;
      });
    });
    stop.addEventListener('abort', () => {
      commandLink.close();
      setTimeout(link.close, LAST_ANSWERS_MS).unref();
    });
    const ends = await Promise.allSettled(driving);
    const reading = meter.read();
    await enrolment.revokeKeys();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    return { ...reading, problem: notices.last() };
  } catch (error) {
    if (!signal.aborted || error instanceof SimulationError) throw error;
    throw new SimulationError('Stopped before it began');
  } finally {
    link.close();
    commandLink.close();
  }
}

function assertWithinLimit(
  robots: number,
  ratePerSecond: number,
  { ownKeys, requestsPerSecond }: { ownKeys: boolean; requestsPerSecond: number },
): void {
  const wanted = ownKeys ? ratePerSecond : robots * ratePerSecond;
  if (wanted <= requestsPerSecond) return;
  const problem = ownKeys
    ? `each robot would send ${wanted} requests/s with its key`
    : `${robots} robots would send ${wanted} requests/s with one key, because it lacks the scope keys:write to give each its own`;
  throw new SimulationError(
    `Too fast: ${problem}; the server allows ${requestsPerSecond} (limits.requests_per_second). Lower --rate or --robots, or raise the limit`,
    true,
  );
}
