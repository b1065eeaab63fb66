import { TRPCError } from '@trpc/server';
import type { Principal } from '../contract/access.js';
import { DomainError } from '../lib/errors.js';
import type { Context } from './context.js';

/** A call as the audit sees it. */
export interface AuditedCall {
  ctx: Pick<Context, 'services' | 'caller' | 'log'>;
  /** The operation's name, `<noun>.<verb>`; without one nothing is kept. */
  action: string | undefined;
  principal: Principal | null;
  /** The input as it was sent: it may be anything. */
  readInput: () => unknown;
}

type Result = { ok: true; data: unknown } | { ok: false; error: unknown };
/** Tells the audit which robot it was about, where neither input nor output says. */
export type NoteRobot = (robotId: string | null) => void;

/** Runs the rest of a call and keeps what came of it. What was done is kept before the caller learns of it. */
export async function audited<R extends Result>(
  call: AuditedCall,
  run: (noteRobot: NoteRobot) => Promise<R>,
): Promise<R> {
  if (call.action === undefined) return run(() => {});
  let robotId: string | null = null;
  const noteRobot: NoteRobot = (id) => {
    robotId = id;
  };
  let result: R;
  try {
    result = await run(noteRobot);
  } catch (error) {
    await recordRefusal(call, error);
    throw error;
  }
  if (result.ok) await record(call, 'ok', result.data, robotId);
  else await recordRefusal(call, result.error);
  return result;
}

/** Keeps that a call was refused with `error`. What was no call of this operation at all is not kept. */
export async function recordRefusal(call: AuditedCall, error: unknown): Promise<void> {
  const cause = error instanceof TRPCError ? (error.cause ?? error) : error;
  if (cause instanceof DomainError) await record(call, cause.code);
  else if (!(error instanceof TRPCError) || error.code === 'INTERNAL_SERVER_ERROR') {
    await record(call, 'internal');
  }
}

async function record(
  call: AuditedCall,
  outcome: string,
  output?: unknown,
  noted: string | null = null,
): Promise<void> {
  const { ctx, action, principal, readInput } = call;
  if (action === undefined) return;
  try {
    const input = membersOf(await readInput());
    const answer = membersOf(output);
    const subjectKey = `${action.split('.')[0]}_id`;
    const [subject, robot, account] = [subjectKey, 'robot_id', 'account_id'].map(
      (key) => textOf(answer[key]) ?? textOf(input[key]),
    );
    const { door, ip } = ctx.caller;
    await ctx.services.audit.record({
      principal,
      tried: principal ? undefined : (textOf(input.username) ?? undefined),
      action,
      robot_id: robot ?? noted,
      subject_id: principal ? (subject ?? textOf(answer.id)) : (account ?? null),
      ...{ door, ip, outcome, details: detailsOf({ ...input, [subjectKey]: undefined }, answer) },
    });
  } catch (error) {
    ctx.log.error({ err: error, action }, 'an audit entry could not be made');
  }
}

/** The fields of a request that are kept when they are short. None of them may ever hold a secret. */
const KEPT_FIELDS = [
  ...['action', 'name', 'title', 'kind', 'severity', 'min_severity', 'enabled', 'condition'],
  ...['clear_condition', 'cooldown_minutes', 'for_seconds', 'robot_type', 'robot_name'],
  ...['robot_types', 'presence_timeout_ms', 'map_id', 'file_name', 'scopes', 'identity', 'reason'],
  ...['expires_in_seconds', 'overlap_seconds', 'ttl_seconds'],
];
const TEXT_LIMIT = 200;
const LIST_LIMIT = 32;

function detailsOf(
  input: Record<string, unknown>,
  answer: Record<string, unknown>,
): Record<string, unknown> | null {
  const kept = KEPT_FIELDS.flatMap((key) => {
    const value = input[key];
    if (isShort(value)) return [[key, value]];
    return Array.isArray(value) && value.length <= LIST_LIMIT && value.every(isShort)
      ? [[key, value]]
      : [];
  });
  // What was done to many robots at once.
  if (Array.isArray(answer.robots)) kept.push(['robots', answer.robots.length]);
  return kept.length > 0 ? Object.fromEntries(kept) : null;
}

function isShort(value: unknown): boolean {
  if (typeof value === 'string') return value.length <= TEXT_LIMIT;
  return typeof value === 'number' || typeof value === 'boolean';
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
