import { randomUUID } from 'node:crypto';
import { initTRPC, TRPCError } from '@trpc/server';
import { z } from 'zod';
import type { Principal, Scope } from '../contract/access.js';
import { PASS_PREFIX } from '../contract/rooms.js';
import { DomainError, ERROR_CATALOGUE, type Issue } from '../lib/errors.js';
import type { Visitor } from '../services/rooms.js';
import { audited } from './audit-trail.js';
import type { Context, ErrorLog } from './context.js';

/** Raised in place of anything unforeseen; its message holds the id under which the cause was logged. */
class InternalError extends TRPCError {}

/** What surfaces need to know of a procedure without calling it. */
export interface ProcedureMeta {
  /** `public` is open to everybody, `any` takes every valid credential, else the scope that is needed. */
  access: 'public' | 'any' | Scope;
  /** What the audit calls this operation, such as `command.send`; absent for what is not kept there. */
  audit?: string;
  /** Callers without a credential are heard too, as far as `access.anonymous` goes, and holders of a room's pass. */
  guests?: true;
}

const t = initTRPC
  .context<Context>()
  .meta<ProcedureMeta>()
  .create({
    isDev: false,
    // Proxies and our own write timeout end connections that stay silent.
    sse: { ping: { enabled: true, intervalMs: 5_000 } },
    errorFormatter({ shape, error }) {
      const known = error.cause instanceof DomainError ? error.cause : undefined;
      const issues = known?.details.issues ?? validationIssues(error);
      const hidden = error.code === 'INTERNAL_SERVER_ERROR' && !(error instanceof InternalError);
      return {
        ...shape,
        message: hidden
          ? 'Internal error'
          : issues && !known
            ? describeIssues(issues)
            : shape.message,
        data: {
          ...shape.data,
          reason: known?.code ?? (issues ? ('invalid_input' as const) : undefined),
          limit: known?.details.limit,
          retry_after_ms: known?.details.retryAfterMs,
          issues,
        },
      };
    },
  });

/** The issues of a failed input validation, or undefined if `error` is anything else. */
export function validationIssues(error: TRPCError): Issue[] | undefined {
  if (error.code !== 'BAD_REQUEST' || !(error.cause instanceof z.core.$ZodError)) return undefined;
  return error.cause.issues.map((issue) => ({
    path: issue.path.join('.'),
    message: issue.message,
  }));
}

/** One sentence that names every field that is wrong. */
export function describeIssues(issues: readonly Issue[]): string {
  return issues.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; ');
}

/** The tRPC form of an error that a service threw. Unknown errors are logged under an id, and only the id goes out. */
export function toTrpcError(error: unknown, log: ErrorLog): TRPCError {
  if (error instanceof DomainError) {
    return new TRPCError({
      code: ERROR_CATALOGUE[error.code].trpc,
      message: error.message,
      cause: error,
    });
  }
  if (error instanceof TRPCError && error.code !== 'INTERNAL_SERVER_ERROR') return error;
  if (error instanceof InternalError) return error;
  const id = randomUUID();
  log.error({ err: error, error_id: id }, 'internal error');
  return new InternalError({ code: 'INTERNAL_SERVER_ERROR', message: `Internal error ${id}` });
}

const guarded = t.procedure.use(async ({ ctx, next }) => {
  try {
    ctx.admit?.();
  } catch (error) {
    throw toTrpcError(error, ctx.log);
  }
  const result = await next();
  if (result.ok) return result;
  const { error } = result;
  throw toTrpcError(error.cause instanceof DomainError ? error.cause : error, ctx.log);
});

/** Open to everybody. */
export const publicProcedure = guarded.meta({ access: 'public' });

/**
 * Open to everybody, and counted against the tight limit for guessing. `.meta({ access: 'public', audit: … })` names the
 * operation for the audit.
 */
export const loginProcedure = publicProcedure.use(({ ctx, meta, getRawInput, next }) =>
  audited({ ctx, action: meta?.audit, principal: null, readInput: getRawInput }, () => {
    ctx.admitLogin?.();
    return next();
  }),
);

/**
 * For callers with a valid credential that holds `scope`; `ctx.principal` is who they are. `audit` names the operation,
 * `<noun>.<verb>`: each call is then kept, with the `robot_id` and the `<noun>_id` of its input or output. Where neither
 * says which robot it is about, `ctx.noteRobot` does.
 */
export function scoped(scope: Scope, facts: Pick<ProcedureMeta, 'audit'> = {}) {
  return guarded.meta({ access: scope, ...facts }).use(async ({ ctx, meta, getRawInput, next }) => {
    const principal = await ctx.authenticate();
    const call = { ctx, action: meta?.audit, principal, readInput: getRawInput };
    return audited(call, (noteRobot) => {
      requireScope(principal, scope);
      return next({ ctx: { principal, noteRobot } });
    });
  });
}

/**
 * As `scoped`, and for guests: callers without a credential from where `access.anonymous` lets them in, and those who
 * hold the pass of some room. `ctx.visitor` is who they are. What guests do is not in the audit, which is of accounts.
 */
export function guestsToo(scope: Scope | 'any', facts: Pick<ProcedureMeta, 'audit'> = {}) {
  return guarded
    .meta({ access: scope, guests: true, ...facts })
    .use(async ({ ctx, meta, getRawInput, next }) => {
      const visitor = await visitorOf(ctx);
      const { principal } = visitor;
      if (!principal) return next({ ctx: { visitor } });
      const call = { ctx, action: meta?.audit, principal, readInput: getRawInput };
      return audited(call, () => {
        if (scope !== 'any') requireScope(principal, scope);
        return next({ ctx: { visitor } });
      });
    });
}

/** Who is calling where guests are heard too. @throws DomainError `unauthenticated`. */
export async function visitorOf(ctx: Context): Promise<Visitor> {
  const { credential } = ctx;
  if (credential === undefined) {
    ctx.services.guests.admit(ctx.caller);
    return { principal: null, pass: undefined };
  }
  if (credential.startsWith(PASS_PREFIX)) return { principal: null, pass: credential };
  return { principal: await ctx.authenticate(), pass: undefined };
}

/** For callers with any valid credential. */
export const userProcedure = guarded
  .meta({ access: 'any' })
  .use(async ({ ctx, meta, getRawInput, next }) => {
    const principal = await ctx.authenticate();
    return audited({ ctx, action: meta?.audit, principal, readInput: getRawInput }, () =>
      next({ ctx: { principal } }),
    );
  });

/** @throws DomainError `forbidden` when `principal` lacks `scope`. */
export function requireScope(principal: Principal, scope: Scope): void {
  if (!principal.scopes.has(scope)) {
    throw new DomainError('forbidden', `This key lacks the scope ${scope}`);
  }
}

export const router = t.router;
