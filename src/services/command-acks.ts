import type { CommandStatus } from '../contract/commands.js';
import type { CommandChanges, CommandRow } from '../db/repositories/commands.js';
import { DomainError } from '../lib/errors.js';

/** What a robot said. */
export interface Said {
  status: 'received' | 'in_progress' | 'completed' | 'failed';
  message: string | undefined;
  /** As JSON. */
  result: string | undefined;
}

const STEPS: readonly CommandStatus[] = ['queued', 'delivered', 'received', 'in_progress'];

/**
 * What an acknowledgement changes; null when it changes nothing, because it repeats or goes back. One that comes when the
 * command has expired ends it: what a robot has acknowledged before does not expire, because only the robot knows how
 * long it takes.
 * @throws DomainError `conflict` when the command has ended otherwise.
 */
export function acknowledge(row: CommandRow, said: Said, now: number): CommandChanges | null {
  const { status, message, result } = said;
  if (row.finished_at !== null) {
    if (row.state === status) return null;
    throw hasEnded(row.state, row.message);
  }
  const isAcknowledged = row.received_at !== null;
  if (!isAcknowledged && row.expires_at <= now) {
    const late = 'The robot did not acknowledge it in time';
    return { state: 'expired', finished_at: now, message: late };
  }
  const isEnd = status === 'completed' || status === 'failed';
  const step = STEPS.indexOf(status) - STEPS.indexOf(row.state as CommandStatus);
  if (!isEnd && step < 0) return null;
  const isNew = (value: string | undefined, known: string | null) =>
    value !== undefined && value !== known;
  if (step === 0 && !isNew(message, row.message) && !isNew(result, row.result)) return null;
  return {
    state: status,
    received_at: row.received_at ?? now,
    ...(status === 'in_progress' && { started_at: row.started_at ?? now }),
    ...(isEnd && { finished_at: now }),
    ...(message !== undefined && { message }),
    ...(result !== undefined && { result }),
  };
}

export function hasEnded(state: string, message: string | null): DomainError {
  const why = message === null ? '' : `: ${message}`;
  return new DomainError('conflict', `The command is ${state} already${why}`);
}
