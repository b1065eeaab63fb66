import { hash, randomUUID } from 'node:crypto';
import type { Principal } from '../contract/access.js';
import type { SendCommandInput } from '../contract/commands.js';
import type { NewCommand } from '../db/repositories/commands.js';
import { DomainError } from '../lib/errors.js';
import { issuerOf } from './command-wire.js';

/** What somebody wants of a robot. */
export type CommandRequest = Omit<SendCommandInput, 'robot_id'>;

/** Of parameters and of results, each, as JSON. */
export const JSON_LIMIT_BYTES = 65_536;

/** A new command that waits for its robot. */
export function commandFor(
  principal: Principal,
  robotId: string,
  request: CommandRequest,
  now: number,
): NewCommand {
  const { action, ttl_seconds, idempotency_key = null } = request;
  return {
    id: randomUUID(),
    robot_id: robotId,
    account_id: principal.account_id,
    action,
    parameters: JSON.stringify(request.parameters),
    state: 'queued',
    issued_by: issuerOf(principal),
    idempotency_key,
    request_hash: idempotency_key === null ? null : hashOf(request),
    message: null,
    result: null,
    deliveries: 0,
    created_at: now,
    expires_at: now + ttl_seconds * 1_000,
    delivered_at: null,
    received_at: null,
    started_at: null,
    finished_at: null,
  };
}

/** The same, handed to the robot as soon as it is stored. */
export function delivered(command: NewCommand): NewCommand {
  return { ...command, state: 'delivered', deliveries: 1, delivered_at: command.created_at };
}

/** Tells a repeat from another wish; the order of members does not matter. */
export function hashOf({ action, parameters, ttl_seconds }: CommandRequest): string {
  return hash('sha256', JSON.stringify(sorted([action, parameters, ttl_seconds])), 'hex');
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return members.map(([name, member]) => [name, sorted(member)]);
}

/** @throws DomainError `too_large`. */
export function assertJsonSize(field: string, json: string): void {
  if (Buffer.byteLength(json) <= JSON_LIMIT_BYTES) return;
  throw new DomainError('too_large', `${field}: must not be larger than 64 KiB of JSON`, {
    limit: 'command_json_bytes',
  });
}
