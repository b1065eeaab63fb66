import { callTRPCProcedure, initTRPC, TRPCError } from '@trpc/server';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DomainError, ERROR_CATALOGUE, type ErrorCode } from '../../src/lib/errors.js';
import { failureOf } from '../../src/rest-adapter/envelope.js';
import { kairoio } from '../../src/rest-adapter/surfaces/kairoio.js';

function logBook() {
  const entries: { fields: object; message: string }[] = [];
  return { entries, error: (fields: object, message: string) => entries.push({ fields, message }) };
}

const silent = { error: () => {} };

/** What a procedure with this input throws for `input`. */
async function thrownBy(schema: z.ZodType, input: unknown): Promise<unknown> {
  const t = initTRPC.create();
  const router = t.router({ it: t.procedure.input(schema).query(() => 'fine') });
  return callTRPCProcedure({
    router,
    path: 'it',
    ctx: {},
    type: 'query',
    getRawInput: async () => input,
    signal: undefined,
    batchIndex: 0,
  }).then(
    () => expect.unreachable('the input is valid'),
    (error: unknown) => error,
  );
}

describe('failureOf', () => {
  it.each(Object.entries(ERROR_CATALOGUE))('gives %s its status', (code, { http }) => {
    const error = new DomainError(code as ErrorCode, 'a sentence', { limit: 'l' });
    const wrapped = new TRPCError({ code: 'BAD_REQUEST', message: 'other', cause: error });
    const expected = { status: http, code, message: 'a sentence', limit: 'l' };
    expect(failureOf(error, silent)).toMatchObject(expected);
    expect(failureOf(wrapped, silent)).toMatchObject(expected);
  });

  it('tells when to come back, and only when that is known', () => {
    const later = new DomainError('overloaded', 'full', { retryAfterMs: 1_500 });
    expect(failureOf(later, silent).retryAfterMs).toBe(1_500);
    expect(failureOf(new DomainError('overloaded', 'full'), silent)).not.toHaveProperty(
      'retryAfterMs',
    );
  });

  it('says of something unforeseen nothing but an id, under which the cause is in the log', () => {
    const log = logBook();
    const cause = new Error('select secret from accounts');
    const failure = failureOf(cause, log);
    expect(failure).toMatchObject({ status: 500, code: 'internal' });
    const id = /^Internal error ([0-9a-f-]{36})$/.exec(failure.message)?.[1];
    expect(log.entries).toEqual([
      { fields: { err: cause, error_id: id }, message: 'internal error' },
    ]);
    expect(JSON.stringify(kairoio.failure(failure))).not.toContain('secret');
  });

  it('keeps the status of what Fastify refuses, but not of what it breaks on', () => {
    const refused = Object.assign(new Error('too large'), { statusCode: 413 });
    expect(failureOf(refused, silent)).toEqual({
      status: 413,
      code: 'too_large',
      message: 'too large',
    });
    const broken = Object.assign(new Error('inner detail'), { statusCode: 502 });
    expect(failureOf(broken, silent)).toMatchObject({ status: 500, code: 'internal' });
  });

  const Body = z.object({
    id: z.string().min(1).regex(/^\w+$/, 'must be a word'),
    size: z.number().optional(),
  });
  const missing = 'id is required';
  it.each([
    ['no object at all', null, missing],
    ['a member that is not there', {}, missing],
    ['an empty member, whatever else is wrong with it', { id: '' }, missing],
    ['a member that is wrong', { id: '!' }, 'id: must be a word'],
    [
      'one that is missing beside one that is wrong',
      { size: 'x' },
      'id: Invalid input: expected string, received undefined; size: Invalid input: expected number, received string',
    ],
  ])('has one sentence for %s', async (_name, input, sentence) => {
    const error = await thrownBy(Body, input);
    expect(failureOf(error, silent, missing)).toMatchObject({ status: 400, message: sentence });
  });

  it('describes the members when the contract has no sentence', async () => {
    expect(failureOf(await thrownBy(Body, {}), silent)).toEqual({
      status: 400,
      code: 'invalid_input',
      message: 'id: Invalid input: expected string, received undefined',
      issues: [{ path: 'id', message: 'Invalid input: expected string, received undefined' }],
    });
  });
});

describe('the envelope of the fleet API', () => {
  it('wraps data and failures, and leaves out what there is not', () => {
    expect(kairoio.success([1])).toEqual({ success: true, data: [1] });
    const failure = kairoio.failure({ status: 404, code: 'not_found', message: 'Robot not found' });
    expect(JSON.parse(JSON.stringify(failure))).toEqual({
      success: false,
      error: 'Robot not found',
      code: 'not_found',
    });
  });
});
