import { type Principal, ROBOT_SCOPES, SCOPES, type Scope } from '../contract/access.js';
import { DomainError } from '../lib/errors.js';

/** Whoever is to have one of these in a key that is no robot's own says so. */
const NAMED_ONLY: readonly Scope[] = ['keys:write', 'video:publish'];

/**
 * The wanted scopes, or by default all that the caller has of what such a key can have.
 * @throws DomainError `forbidden` for a scope the caller lacks; `invalid_input` for one that robots cannot have.
 */
export function grantableScopes(
  caller: Principal,
  wanted: readonly Scope[] | undefined,
  isForRobot: boolean,
): Scope[] {
  const usual = isForRobot ? ROBOT_SCOPES : SCOPES.filter((scope) => !NAMED_ONLY.includes(scope));
  if (!wanted) {
    const scopes = usual.filter((scope) => caller.scopes.has(scope));
    if (scopes.length === 0) {
      throw new DomainError(
        'forbidden',
        `This key has no scope to pass on but ${NAMED_ONLY.join(' and ')}`,
      );
    }
    return scopes;
  }
  if (isForRobot) {
    const foreign = wanted.filter((scope) => !ROBOT_SCOPES.includes(scope));
    if (foreign.length > 0) {
      const message = `a robot's key cannot have ${foreign.join(', ')}; it can have ${ROBOT_SCOPES.join(', ')}`;
      throw new DomainError('invalid_input', `scopes: ${message}`, {
        issues: [{ path: 'scopes', message }],
      });
    }
  }
  assertHolds(caller, wanted);
  return [...new Set(wanted)];
}

/** @throws DomainError `forbidden` when the caller lacks one of the scopes. */
export function assertHolds(caller: Principal, scopes: readonly Scope[]): void {
  const missing = scopes.filter((scope) => !caller.scopes.has(scope));
  if (missing.length > 0) {
    throw new DomainError(
      'forbidden',
      `A key cannot hand out scopes it lacks: ${missing.join(', ')}`,
    );
  }
}

/**
 * The end of a key that lives `lifeSeconds`, or by default as long as the caller's own; null for never.
 * @throws DomainError `forbidden` when that is later than the end of the caller's own.
 */
export function grantableExpiry(
  caller: Principal,
  now: number,
  lifeSeconds: number | undefined,
): number | null {
  const latest = caller.expires_at ?? Infinity;
  if (lifeSeconds === undefined) return orNever(latest);
  const expiresAt = now + lifeSeconds * 1_000;
  if (expiresAt > latest) {
    throw new DomainError(
      'forbidden',
      `A key cannot outlive the one that makes it, which expires at ${new Date(latest).toISOString()}`,
    );
  }
  return expiresAt;
}

export function orNever(ms: number): number | null {
  return ms === Infinity ? null : ms;
}
