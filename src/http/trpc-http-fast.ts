import { type AnyRouter, getErrorShape, getTRPCErrorFromUnknown, TRPCError } from '@trpc/server';
import { getHTTPStatusCode } from '@trpc/server/http';
import { type Calls, type CallType, callReader, type DoorRequest } from './trpc-http-calls.js';

export interface FastDoorOptions {
  router: AnyRouter;
  batchLimitCalls: number;
  onError: (failure: Failure) => void;
  /** What goes out beside the library's own headers, for the errors of a request. */
  headersFor: (errors: TRPCError[]) => Record<string, string>;
}

/** One failed call, or a failed request: one without a path. */
export interface Failure {
  error: TRPCError;
  path: string | undefined;
  input: unknown;
  ctx: unknown;
  type: CallType;
}

export interface FastAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** What the calls of one request share. `createContext` is called once; its failure is that of every call. */
export interface CallEnvironment {
  createContext: () => unknown;
  signal: AbortSignal;
}

export interface FastDoor {
  /** The calls of a request that this door answers; undefined for one that is the library's. */
  read(request: DoorRequest): Calls | undefined;
  /** Runs the calls, and gives what the library would. */
  answer(calls: Calls, environment: CallEnvironment): Promise<FastAnswer>;
}

type Outcome = { ok: true; data: unknown } | { ok: false; error: TRPCError };
type Reply = { result: { data: unknown } } | { error: ReturnType<typeof getErrorShape> };

const METHODS = { query: 'GET', mutation: 'POST', subscription: 'GET' };

/**
 * Answers ordinary calls as `resolveResponse` of @trpc/server does, whose steps these are, without making a Request and a
 * Response of the web platform for each (docs/adr/0012).
 */
export function createFastDoor(options: FastDoorOptions): FastDoor {
  const { router, onError, headersFor } = options;
  const config = router._def._config;
  const { output } = config.transformer;

  /** As `transformTRPCResponse`, which copies each part through property descriptors. */
  function transform(reply: Reply): Reply {
    if ('error' in reply) return { error: output.serialize(reply.error) };
    return { result: { data: output.serialize(reply.result.data) } };
  }

  async function answer(
    calls: Calls,
    { createContext, signal }: CallEnvironment,
  ): Promise<FastAnswer> {
    const { method, isBatch, paths, procedures, inputs } = calls;
    const headers: Record<string, string> = { vary: 'trpc-accept, accept' };
    let ctx: unknown;
    let refusal: TRPCError | undefined;
    try {
      ctx = await createContext();
    } catch (cause) {
      refusal = getTRPCErrorFromUnknown(cause);
    }

    function failureAt(index: number, error: TRPCError): Failure {
      const type = procedures[index]?._def.type ?? 'unknown';
      return { error, path: paths[index], input: inputs.seen(index), ctx, type };
    }

    async function run(path: string, index: number): Promise<Outcome> {
      try {
        const procedure = procedures[index];
        if (!procedure) throw noProcedure(path);
        const { type } = procedure._def;
        if (METHODS[type] !== method) {
          headers.allow = METHODS[type];
          throw wrongMethod(method, type, path);
        }
        if (refusal) throw refusal;
        const getRawInput = async () => inputs.read(index);
        const data = await procedure({ path, getRawInput, ctx, type, signal, batchIndex: index });
        return { ok: true, data };
      } catch (cause) {
        const error = getTRPCErrorFromUnknown(cause);
        onError(failureAt(index, error));
        return { ok: false, error };
      }
    }

    function replyOf(outcome: Outcome, index: number): Reply {
      if (outcome.ok) return { result: { data: outcome.data } };
      return { error: getErrorShape({ config, ...failureAt(index, outcome.error) }) };
    }

    function write(outcomes: Outcome[]): FastAnswer {
      const replies = outcomes.map(replyOf);
      const errors = outcomes.map((outcome) => (outcome.ok ? undefined : outcome.error));
      Object.assign(headers, headersFor(errors.filter((error) => error !== undefined)));
      const status = getHTTPStatusCode(replies, errors);
      const transformed = replies.map(transform);
      return { status, headers, body: JSON.stringify(isBatch ? transformed : transformed[0]) };
    }

    /** The answer to a request that failed as a whole: an output that is no JSON, for one. */
    function writeFailure(error: TRPCError): FastAnswer {
      const failure = { error, path: undefined, input: undefined, ctx, type: calls.type };
      onError(failure);
      const reply = { error: getErrorShape({ config, ...failure }) };
      const body = JSON.stringify(transform(reply));
      Object.assign(headers, headersFor([error]));
      return { status: getHTTPStatusCode(reply, [error]), headers, body };
    }

    try {
      const [only = ''] = paths;
      const outcomes = isBatch ? await Promise.all(paths.map(run)) : [await run(only, 0)];
      headers['content-type'] = 'application/json';
      if (isBatch) return write(outcomes.map((outcome) => streamRefusal(outcome) ?? outcome));
      // A single call that is refused for this is not said to be at fault: the request is.
      const refused = outcomes[0] && streamRefusal(outcomes[0]);
      if (refused) throw refused.error;
      return write(outcomes);
    } catch (cause) {
      return writeFailure(getTRPCErrorFromUnknown(cause));
    }
  }

  return { read: callReader(router, options.batchLimitCalls), answer };
}

function noProcedure(path: string): TRPCError {
  return new TRPCError({ code: 'NOT_FOUND', message: `No procedure found on path "${path}"` });
}

function wrongMethod(method: string, type: string, path: string): TRPCError {
  return new TRPCError({
    code: 'METHOD_NOT_SUPPORTED',
    message: `Unsupported ${method}-request to ${type} procedure at path "${path}"`,
  });
}

/** The failure of a call whose output takes a stream to go out: an iterable over time, or an object with such or promises in it. */
function streamRefusal(outcome: Outcome): { ok: false; error: TRPCError } | undefined {
  if (!outcome.ok || !isObject(outcome.data)) return undefined;
  const { data } = outcome;
  const isStream =
    isIterable(data) || Object.values(data).some((v) => isIterable(v) || isPromise(v));
  if (!isStream) return undefined;
  const message =
    'Cannot use stream-like response in non-streaming request - use httpBatchStreamLink';
  return { ok: false, error: new TRPCError({ code: 'UNSUPPORTED_MEDIA_TYPE', message }) };
}

function isIterable(value: unknown): boolean {
  return isObject(value) && Symbol.asyncIterator in value;
}

function isPromise(value: unknown): boolean {
  const { then, catch: rescue } = (value ?? {}) as Partial<Promise<unknown>>;
  return typeof then === 'function' && typeof rescue === 'function';
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
