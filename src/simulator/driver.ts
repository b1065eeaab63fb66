import { setTimeout as sleep } from 'node:timers/promises';
import type { Link, Reply } from './link.js';
import type { Meter } from './meter.js';
import type { Notices } from './notices.js';
import { between, type Random } from './random.js';
import type { SimulatedEvent, SimulatedRobot } from './robot.js';

export interface DriverOptions {
  robotId: string;
  robot: SimulatedRobot;
  random: Random;
  link: Link;
  meter: Meter;
  notices: Notices;
  enrol: (robotId: string) => Promise<string>;
  periodMs: number;
  signal: AbortSignal;
}

/** Logs and alerts that wait for the server; older ones give way, as on a robot with little memory. */
const OUTBOX_LIMIT = 100;
const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 5_000;

/**
 * One robot at its own pace until `signal`: a status each period, then the logs and alerts that wait. A status that
 * does not get through is dropped, since the next is newer; logs and alerts are kept and sent again.
 */
export async function drive(options: DriverOptions): Promise<void> {
  const { robotId, robot, random, link, meter, notices, enrol, periodMs, signal } = options;
  const path = `/api/v1/robots/${encodeURIComponent(robotId)}`;
  const outbox: SimulatedEvent[] = [];
  let token = await enrol(robotId);
  let holdUntilMs = 0;
  let lostInARow = 0;

  async function send(part: string, body: unknown): Promise<boolean> {
    meter.sent();
    const reply = await link.call('POST', `${path}/${part}`, { token, body });
    if (reply.kind !== 'lost') notices.reached();
    if (reply.kind === 'ok') {
      meter.ok(reply.latencyMs);
      lostInARow = 0;
      return true;
    }
    if (reply.kind === 'lost' && signal.aborted) return false;
    meter.failed();
    await giveWay(reply);
    return false;
  }

  async function giveWay(reply: Exclude<Reply, { kind: 'ok' }>): Promise<void> {
    let pauseMs = PAUSE_MS;
    if (reply.kind === 'lost') {
      notices.lost(reply.message);
      pauseMs = Math.min(250 * 2 ** lostInARow, LONGEST_PAUSE_MS);
      lostInARow += 1;
    } else if (reply.status === 429 || reply.status === 503) {
      pauseMs = reply.retryAfterMs ?? PAUSE_MS;
      notices.slowDown(reply.message, pauseMs);
    } else {
      notices.refused(reply.message);
      // The key has expired or was revoked, or the robot was deleted: begin anew.
      if ([401, 403, 404].includes(reply.status)) token = await enrol(robotId);
    }
    // Never all of them at the same moment.
    holdUntilMs = performance.now() + pauseMs * between(random, 1, 1.25);
  }

  async function report(elapsedMs: number): Promise<void> {
    const { status, events } = robot.advance(elapsedMs);
    outbox.push(...events);
    outbox.splice(0, outbox.length - OUTBOX_LIMIT);
    if (performance.now() < holdUntilMs || !(await send('status', { status }))) return;
    for (let event = outbox[0]; event && !signal.aborted; event = outbox[0]) {
      if (!(await send(event.kind, event.body))) return;
      outbox.shift();
    }
  }

  let lastMs = performance.now();
  let nextMs = lastMs + periodMs * random();
  while (!signal.aborted) {
    await sleep(Math.max(0, nextMs - performance.now()), undefined, { signal });
    const now = performance.now();
    await report(now - lastMs);
    lastMs = now;
    nextMs = Math.max(nextMs + periodMs, performance.now());
  }
}
