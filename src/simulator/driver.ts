import type { Link, Reply } from './link.js';
import type { Meter } from './meter.js';
import type { Notices } from './notices.js';
import { between, type Random } from './random.js';
import { receiveCommands } from './receiver.js';
import type { SimulatedEvent, SimulatedRobot } from './robot.js';

export interface DriverOptions {
  robotId: string;
  robot: SimulatedRobot;
  random: Random;
  link: Link;
  /** For requests that wait for a command. */
  commandLink: Link;
  meter: Meter;
  notices: Notices;
  enrol: (robotId: string) => Promise<string>;
  periodMs: number;
  signal: AbortSignal;
}

/** Logs, alerts and acknowledgements that wait for the server; older ones give way, as on a robot with little memory. */
const OUTBOX_LIMIT = 100;
const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 5_000;

/**
 * One robot at its own pace until `signal`: a status each period and at once when a command comes, then the logs,
 * alerts and acknowledgements that wait. A status that does not get through is dropped, since the next is newer; the
 * others are kept and sent again.
 */
export async function drive(options: DriverOptions): Promise<void> {
  const { robotId, robot, random, link, commandLink, meter, notices, enrol, signal } = options;
  const { periodMs } = options;
  const path = `/api/v1/robots/${encodeURIComponent(robotId)}`;
  const outbox: SimulatedEvent[] = [];
  let token = await enrol(robotId);
  let holdUntilMs = 0;
  let lostInARow = 0;

  async function send(part: string, body: unknown): Promise<boolean> {
    const reply = await call(part, body);
    if (reply.kind !== 'ok' && !(reply.kind === 'lost' && signal.aborted)) await giveWay(reply);
    return reply.kind === 'ok';
  }

  async function call(part: string, body: unknown): Promise<Reply> {
    meter.sent();
    const reply = await link.call('POST', `${path}/${part}`, { token, body });
    if (reply.kind !== 'lost') notices.reached();
    if (reply.kind === 'ok') {
      meter.ok(reply.latencyMs);
      lostInARow = 0;
    } else if (reply.kind !== 'lost' || !signal.aborted) {
      meter.failed();
    }
    return reply;
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
    if (performance.now() < holdUntilMs || status === null) return;
    if (!(await send('status', { status }))) return;
    for (let event = outbox[0]; event && !signal.aborted; event = outbox[0]) {
      if (!(await deliver(event))) return;
      outbox.shift();
    }
  }

  /** Whether it need not be sent again. */
  async function deliver(event: SimulatedEvent): Promise<boolean> {
    if (event.kind !== 'ack') return send(event.kind, event.body);
    const { command_id, ...ack } = event.body;
    const reply = await call(`control/${command_id}/ack`, ack);
    if (reply.kind === 'ok') {
      if (ack.status === 'completed' || ack.status === 'failed') meter.command(ack.status);
      return true;
    }
    // The command has ended otherwise meanwhile: expired, or cancelled by a stop.
    if (reply.kind === 'refused' && [403, 404, 409].includes(reply.status)) return true;
    if (!signal.aborted) await giveWay(reply);
    return false;
  }

  let wake = (): void => {};
  let hasNews = false;
  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  signal.addEventListener('abort', () => wake(), { once: true });
  const receiving = receiveCommands({
    ...{ link: commandLink, path, token: () => token, random, notices, signal },
    onCommand(command) {
      robot.receive(command);
      hasNews = true;
      wake();
    },
  });

  let lastMs = performance.now();
  let nextMs = lastMs + periodMs * random();
  while (!signal.aborted) {
    if (!hasNews) await pause(Math.max(0, nextMs - performance.now()));
    if (signal.aborted) break;
    hasNews = false;
    const now = performance.now();
    await report(now - lastMs);
    lastMs = now;
    if (now >= nextMs) nextMs = Math.max(nextMs + periodMs, performance.now());
  }
  await receiving;
}
