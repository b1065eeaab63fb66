import type { Principal } from '../contract/access.js';
import type { Command, CommandEvent, CommandFrame, CommandStatus } from '../contract/commands.js';
import { toInstant } from '../contract/common.js';
import type { CommandRow, NewCommand } from '../db/repositories/commands.js';
import type { JournalEvent } from './journal.js';

/** A stored command as every wire shows it. */
export function commandOf(row: NewCommand): Command {
  return {
    command_id: row.id,
    robot_id: row.robot_id,
    action: row.action,
    parameters: JSON.parse(row.parameters),
    status: row.state as CommandStatus,
    issued_by: row.issued_by,
    message: row.message,
    result: row.result === null ? null : JSON.parse(row.result),
    deliveries: row.deliveries,
    created_at: toInstant(row.created_at),
    expires_at: toInstant(row.expires_at),
    delivered_at: instantOrNull(row.delivered_at),
    received_at: instantOrNull(row.received_at),
    started_at: instantOrNull(row.started_at),
    finished_at: instantOrNull(row.finished_at),
  };
}

/** The same for the robot. */
export function frameOf(row: CommandRow): CommandFrame {
  return {
    id: row.id,
    type: row.action,
    parameters: JSON.parse(row.parameters),
    timestamp: toInstant(row.created_at),
    expires_at: toInstant(row.expires_at),
    ...(row.deliveries > 1 && { redelivered: true as const }),
  };
}

/** What the account's watchers are told of it. */
export function changeOf(row: NewCommand): JournalEvent {
  return eventOf(row.account_id, { type: 'command', ...commandOf(row) });
}

export function eventOf(accountId: string, payload: CommandEvent): JournalEvent {
  return { stream: 'commands', account_id: accountId, robot_id: payload.robot_id, payload };
}

/** Who is named as having sent, stopped, cleared or cancelled something. */
export function issuerOf({ key_id, account_id }: Principal): string {
  return key_id ?? account_id;
}

function instantOrNull(ms: number | null): string | null {
  return ms === null ? null : toInstant(ms);
}
