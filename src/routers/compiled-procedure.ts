import {
  type AnyProcedure,
  type AnyRouter,
  getTRPCErrorFromUnknown,
  TRPCError,
} from '@trpc/server';

type CallOptions = Parameters<AnyProcedure>[0];
type Result = { ok: true; data: unknown } | { ok: false; error: TRPCError };
type Middleware = (opts: object) => Promise<Result | undefined>;
interface Chain {
  middlewares: readonly Middleware[];
  meta: unknown;
}

/**
 * `procedure`, its chain of middlewares run by us: the library's own copies every option of a call through property
 * descriptors, twice a step, which is most of what a call costs (docs/adr/0012). Same results, same errors, same order.
 * A procedure that is not built as we know it is given back as it is.
 */
export function compileProcedure<P extends AnyProcedure>(procedure: P): P {
  const chain = chainOf(procedure);
  if (!chain) return procedure;

  async function compiled(opts: CallOptions): Promise<unknown> {
    if (!isKnownCall(opts)) return procedure(opts);
    const result = await runFrom(0, chain as Chain, opts);
    if (!result) {
      throw new TRPCError({
        code: 'INTERNAL_SERVER_ERROR',
        message: 'No result from middlewares - did you forget to `return next()`?',
      });
    }
    if (!result.ok) throw result.error;
    return result.data;
  }
  return Object.assign(compiled, procedure) as unknown as P;
}

/** `router` with every procedure compiled, for doors to call; `createCaller` goes on to use the library's chain. */
export function compileRouter<TRouter extends AnyRouter>(router: TRouter): TRouter {
  const own = router._def.procedures as Record<string, AnyProcedure>;
  const procedures: Record<string, AnyProcedure> = Object.create(null);
  for (const [path, procedure] of Object.entries(own))
    procedures[path] = compileProcedure(procedure);
  return { ...router, _def: { ...router._def, procedures } };
}

function chainOf(procedure: AnyProcedure): Chain | undefined {
  const def = procedure._def as unknown as Partial<Chain> & Record<string, unknown>;
  const { middlewares, experimental_caller, caller } = def;
  const isKnown =
    Array.isArray(middlewares) &&
    middlewares.length > 0 &&
    middlewares.every((middleware) => typeof middleware === 'function');
  return isKnown && !experimental_caller && !caller ? (def as Chain) : undefined;
}

/** Steps are told these options and no others; `router` is the one that `callTRPCProcedure` adds for itself. */
const OPTIONS: ReadonlySet<string> = new Set([
  ...['ctx', 'getRawInput', 'input', 'path', 'type', 'signal', 'batchIndex', 'router'],
]);

/** What we could not pass on, or is no call at all, is the library's. */
function isKnownCall(opts: CallOptions | undefined): boolean {
  if (!opts?.getRawInput) return false;
  for (const name in opts) if (!OPTIONS.has(name)) return false;
  return true;
}

/** Options are listed one by one because that is several times as fast as to copy them. */
async function runFrom(
  index: number,
  chain: Chain,
  opts: CallOptions,
): Promise<Result | undefined> {
  const { ctx, getRawInput, input, path, type, signal, batchIndex } = opts;
  function next(changes?: Partial<CallOptions>): Promise<Result | undefined> {
    return runFrom(index + 1, chain, {
      ctx: changes?.ctx ? { ...(ctx as object), ...changes.ctx } : ctx,
      getRawInput: changes?.getRawInput ?? getRawInput,
      input: changes && 'input' in changes ? changes.input : input,
      path,
      type,
      signal,
      batchIndex,
    });
  }
  try {
    const middleware = chain.middlewares[index] as Middleware;
    const { meta } = chain;
    return await middleware({
      ctx,
      getRawInput,
      input,
      path,
      type,
      signal,
      batchIndex,
      meta,
      next,
    });
  } catch (cause) {
    return failed(getTRPCErrorFromUnknown(cause));
  }
}

/** A failed step, with the mark that the library puts on each result. */
function failed(error: TRPCError): Result & { marker: string } {
  return { ok: false, error, marker: 'middlewareMarker' };
}
