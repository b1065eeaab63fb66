import type { FastifyRequest } from 'fastify';
import { RobotId } from '../contract/common.js';
import { DomainError } from '../lib/errors.js';

/** The robot in the path of a route that has `:robotId`. @throws DomainError `invalid_input`. */
export function robotIdOf({ params }: FastifyRequest): string {
  const robotId = RobotId.safeParse((params as { robotId: unknown }).robotId);
  if (robotId.success) return robotId.data;
  const message = robotId.error.issues.map((issue) => issue.message).join('; ');
  throw new DomainError('invalid_input', `robotId: ${message}`, {
    issues: [{ path: 'robotId', message }],
  });
}
