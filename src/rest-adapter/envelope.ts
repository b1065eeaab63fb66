import { TRPCError } from '@trpc/server';
import { getHTTPStatusCodeFromError } from '@trpc/server/http';
import type { FastifyError } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { DomainError, ERROR_CATALOGUE, type Issue } from '../lib/errors.js';
import type { ErrorLog } from '../routers/context.js';
import { describeIssues, toTrpcError, validationIssues } from '../routers/trpc.js';
import type { Failure } from './define.js';

const CODE_BY_STATUS: Readonly<Record<number, string>> = {
  400: 'invalid_input',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'timeout',
  413: 'too_large',
  414: 'too_large',
  415: 'unsupported_media_type',
  431: 'too_large',
  503: 'unavailable',
};

/** Whatever was thrown while a request was served, in the terms of no API in particular. */
export function failureOf(
  error: unknown,
  log: ErrorLog,
  missing?: string,
): Failure & { retryAfterMs?: number } {
  if (error instanceof DomainError) return domainFailure(error);
  if (error instanceof TRPCError) return trpcFailure(error, log, missing);
  if (hasZodFastifySchemaValidationErrors(error)) {
    const issues = error.validation.map(({ instancePath, message }) => ({
      path: instancePath.slice(1).replaceAll('/', '.') || (error.validationContext ?? ''),
      message: message ?? 'is not valid',
    }));
    return invalid(issues, missing);
  }
  const { statusCode, message } = error as Partial<FastifyError>;
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return {
      status: statusCode,
      code: CODE_BY_STATUS[statusCode] ?? 'invalid_input',
      message: message ?? 'Bad request',
    };
  }
  return trpcFailure(toTrpcError(error, log), log, missing);
}

function domainFailure(error: DomainError) {
  const { limit, issues, retryAfterMs } = error.details;
  return {
    status: ERROR_CATALOGUE[error.code].http,
    code: error.code,
    message: error.message,
    limit,
    issues,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function trpcFailure(error: TRPCError, log: ErrorLog, missing: string | undefined): Failure {
  if (error.cause instanceof DomainError) return domainFailure(error.cause);
  const issues = validationIssues(error);
  if (issues) return invalid(issues, missing);
  const safe = toTrpcError(error, log);
  const status = getHTTPStatusCodeFromError(safe);
  return { status, code: CODE_BY_STATUS[status] ?? 'internal', message: safe.message };
}

/** A member that is not there, or is empty, earns the sentence of the contract; anything else is described. */
function invalid(issues: Issue[], missing: string | undefined): Failure {
  const absent = new Set(
    issues
      .filter(({ message }) => /received undefined|expected object|>=1 characters/.test(message))
      .map(({ path }) => path),
  );
  const nothingElse = issues.every(({ path }) => absent.has(path));
  return {
    status: 400,
    code: 'invalid_input',
    message: missing !== undefined && nothingElse ? missing : describeIssues(issues),
    issues,
  };
}
