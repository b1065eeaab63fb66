import type { IncomingHttpHeaders } from 'node:http';
import { type AnyProcedure, type AnyRouter, TRPCError } from '@trpc/server';

export type CallType = AnyProcedure['_def']['type'] | 'unknown';

export interface DoorRequest {
  method: string;
  /** What stands behind `/trpc/`, decoded once. */
  path: string;
  url: string;
  headers: IncomingHttpHeaders;
  /** The text of it, if there was one. */
  body: unknown;
}

/** The calls of one ordinary request. */
export interface Calls {
  method: string;
  isBatch: boolean;
  paths: string[];
  /** Undefined where there is none of that name. */
  procedures: (AnyProcedure | undefined)[];
  type: CallType;
  inputs: Inputs;
}

/** The inputs by position. They are read when a call first asks; what is wrong with them fails the calls that ask. */
interface Inputs {
  /** @throws TRPCError `BAD_REQUEST`. */
  read(index: number): unknown;
  /** What has been read so far. */
  seen(index: number): unknown;
}

const PLAIN_HOST = /^(?:[a-z\d.-]+|\[[\da-f:]+\])(?::\d+)?$/i;

/**
 * Tells the ordinary requests from the rest: queries and mutations in JSON, single or batched. Gives undefined for
 * subscriptions, streams, forms, binary data, connection parameters, and for whatever the library refuses before it
 * calls a procedure.
 */
export function callReader(
  router: AnyRouter,
  batchLimitCalls: number,
): (request: DoorRequest) => Calls | undefined {
  const transformer = router._def._config.transformer.input;
  const known = new Map<string, AnyProcedure>(Object.entries(router._def.procedures));
  const isPlainHost = hostCheck();

  return ({ method, path, url, headers, body }) => {
    if (method !== 'GET' && method !== 'POST') return undefined;
    if (path.includes('%') || url.includes('#') || !isPlainHost(headers.host)) return undefined;
    if (!isJson(method, headers)) return undefined;
    const query = queryOf(url);
    if (query?.has('connectionParams')) return undefined;
    const isBatch = query?.get('batch') === '1';
    const paths = isBatch ? path.split(',') : [path];
    if (paths.length > batchLimitCalls) return undefined;
    const procedures = paths.map((name) => known.get(name));
    const type = commonType(procedures);
    if (type === undefined || type === 'subscription') return undefined;
    const text = method === 'GET' ? query?.get('input') : body;
    // A byte order mark is no JSON, but the library takes it.
    if (text && (typeof text !== 'string' || text.startsWith('\uFEFF'))) return undefined;
    const inputs = inputsOf(text as string | undefined, isBatch ? paths.length : undefined);
    return { method, isBatch, paths, procedures, type, inputs };
  };

  function inputsOf(text: string | undefined, batchedCalls: number | undefined): Inputs {
    let inputs: readonly unknown[] | undefined;
    let failure: TRPCError | undefined;

    function parse(): readonly unknown[] {
      if (!text) return [];
      const parsed: unknown = JSON.parse(text);
      if (batchedCalls === undefined) return [transformer.deserialize(parsed)];
      if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
        const message = '"input" needs to be an object when doing a batch call';
        throw new TRPCError({ code: 'BAD_REQUEST', message });
      }
      const byIndex = parsed as Record<number, unknown>;
      return Array.from({ length: batchedCalls }, (_, index) =>
        byIndex[index] === undefined ? undefined : transformer.deserialize(byIndex[index]),
      );
    }

    return {
      seen: (index) => inputs?.[index],
      read(index) {
        if (failure) throw failure;
        try {
          inputs ??= parse();
        } catch (cause) {
          failure = badRequest(cause);
          throw failure;
        }
        return inputs[index];
      },
    };
  }
}

/** What all that are known are; undefined when they differ. */
function commonType(procedures: readonly (AnyProcedure | undefined)[]): CallType | undefined {
  let common: CallType = 'unknown';
  for (const procedure of procedures) {
    const type: CallType = procedure?._def.type ?? common;
    if (common !== 'unknown' && type !== common) return undefined;
    common = type;
  }
  return common;
}

/** Finds the hosts that make a URL as they are; the last of them is remembered. */
function hostCheck(): (host: string | undefined) => boolean {
  let last: string | undefined;
  return (host) => {
    if (host === undefined) return false;
    if (host === last) return true;
    if (!PLAIN_HOST.test(host) || !URL.canParse(`http://${host}`)) return false;
    last = host;
    return true;
  };
}

/** Whether a request has JSON and wants it, without a stream of it. */
function isJson(method: string, headers: IncomingHttpHeaders): boolean {
  if (headers['trpc-accept'] !== undefined) return false;
  if (headers.accept?.includes('application/jsonl')) return false;
  const type = headers['content-type'];
  if (type === undefined) return method === 'GET';
  return type.toLowerCase().split(';', 1)[0]?.trim() === 'application/json';
}

function queryOf(url: string): URLSearchParams | undefined {
  const at = url.indexOf('?');
  return at < 0 ? undefined : new URLSearchParams(url.slice(at + 1));
}

function badRequest(cause: unknown): TRPCError {
  if (cause instanceof TRPCError) return cause;
  const message = cause instanceof Error ? cause.message : 'Invalid input';
  return new TRPCError({ code: 'BAD_REQUEST', message, cause });
}
