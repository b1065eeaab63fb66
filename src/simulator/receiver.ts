import { setTimeout as sleep } from 'node:timers/promises';
import { type CommandFrame, NextCommand } from '../contract/commands.js';
import type { Link } from './link.js';
import type { Notices } from './notices.js';
import { between, type Random } from './random.js';

export interface ReceiverOptions {
  link: Link;
  /** Of the robot: `/api/v1/robots/…`. */
  path: string;
  /** The one that is good now. */
  token: () => string;
  random: Random;
  notices: Notices;
  signal: AbortSignal;
  onCommand: (command: CommandFrame) => void;
}

const WAIT_SECONDS = 25;
/** After the wait itself. */
const ANSWER_LIMIT_MS = 10_000;
const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Asks for one command after the other until `signal`, each request waiting at the server until there is one: what the
 * simplest robots do. Each is acknowledged as received, or it would come again, and then handed on. Ends early, and says so, when the key may receive none. Never rejects.
 */
export async function receiveCommands(options: ReceiverOptions): Promise<void> {
  const { link, path, token, random, notices, signal, onCommand } = options;
  let pauseMs = PAUSE_MS;

  /** False when the server may hand it out again. */
  async function take(command: CommandFrame): Promise<boolean> {
    const ack = { status: 'received' };
    const call = { token: token(), body: ack };
    const reply = await link.call('POST', `${path}/control/${command.id}/ack`, call);
    // Refused is what has expired or was cancelled meanwhile. What was lost may have been stored all the same.
    if (reply.kind !== 'refused') onCommand(command);
    return reply.kind === 'ok';
  }

  while (!signal.aborted) {
    const reply = await link.call('GET', `${path}/control/next?wait=${WAIT_SECONDS}`, {
      token: token(),
      silenceLimitMs: WAIT_SECONDS * 1_000 + ANSWER_LIMIT_MS,
    });
    if (signal.aborted) return;
    const answer = reply.kind === 'ok' ? NextCommand.safeParse(reply.data) : undefined;
    if (answer?.success) {
      const { command } = answer.data;
      if (!command || (await take(command))) {
        pauseMs = PAUSE_MS;
        continue;
      }
    }
    // A lost connection and a lost key are noticed, and dealt with, where the statuses are sent.
    if (reply.kind === 'refused' && reply.status === 403) {
      notices.refused(reply.message);
      return;
    }
    const waitMs = (reply.kind === 'refused' && reply.retryAfterMs) || pauseMs;
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    await sleep(waitMs * between(random, 1, 1.25), undefined, { signal }).catch(() => {});
  }
}
