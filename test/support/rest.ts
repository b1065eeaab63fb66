import { expect } from 'vitest';
import type { Row } from '../../src/rest-adapter/define.js';
import type { Answer } from './app.js';

/** Nothing of the inside: no stack, no SQL, no file, no library's error code. */
const INSIDE =
  /\n\s+at |\.[jt]s:\d+|node_modules|\/src\/|\/dist\/|SQLITE|FST_|\bERR_|insert into|select .* from|kysely|TRPCError|ZodError/i;

/** The whole of a failure: status, sentence, envelope, and that nothing of the inside is in it. */
export function expectFailure(answer: Answer, status: number, error?: string | RegExp): void {
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status });
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
  const { success, error: sentence, code, limit, issues, ...rest } = answer.json;
  expect({ success, rest }).toEqual({ success: false, rest: {} });
  if (error instanceof RegExp) expect(sentence).toMatch(error);
  else if (error !== undefined) expect(sentence).toBe(error);
  expect(typeof sentence).toBe('string');
  expect(code).toMatch(/^[a-z_]+$/);
  expect(limit === undefined || typeof limit === 'string').toBe(true);
  for (const issue of issues ?? []) {
    expect(issue).toEqual({ path: expect.any(String), message: expect.any(String) });
  }
  expect(answer.text).not.toMatch(INSIDE);
}

/** The whole of a success. */
export function expectData(answer: Answer, data: unknown): void {
  expect({ status: answer.status, json: answer.json }).toEqual({
    status: 200,
    json: { success: true, data },
  });
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
}

/** How the wire writes a time: RFC 3339, UTC, milliseconds. */
export const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

/** The path of a row with its parameters filled in. */
export function pathOf(row: Pick<Row, 'path'>, params: Record<string, string>): string {
  return row.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(params[name] ?? ''),
  );
}
