import { isDeepStrictEqual } from 'node:util';
import { type AnyProcedure, type AnyRouter, initTRPC, TRPCError } from '@trpc/server';
import { compileProcedure, compileRouter } from './compiled-procedure.js';

type Compile = (procedure: AnyProcedure) => AnyProcedure;

/**
 * `router` with compiled procedures; as it is, with a warning, when those of the library that runs here are not built as
 * `compileProcedure` knows them.
 */
export async function compileIfSound<TRouter extends AnyRouter>(
  router: TRouter,
  log: { warn(message: string): void },
): Promise<TRouter> {
  const isEager = Object.keys(router._def.lazy ?? {}).length === 0;
  if (isEager && (await chainsAgree())) return compileRouter(router);
  log.warn('tRPC procedures are not compiled: this version of @trpc/server is built differently');
  return router;
}

const INPUTS = ['right', 'replaced', 'thrown', 'bad output', 'no result', 7];

/** Whether a compiled chain gives and shows to its middlewares what the library's own does. */
export async function chainsAgree(compile: Compile = compileProcedure): Promise<boolean> {
  try {
    for (const input of INPUTS) {
      const own = await probe((procedure) => procedure, input);
      if (!isDeepStrictEqual(own, await probe(compile, input))) return false;
    }
    const { procedure } = initTRPC.create();
    const query = procedure.query(() => undefined);
    return compile(query) !== query;
  } catch {
    return false;
  }
}

/** One call of a small procedure with every kind of step, and what each of them saw. */
async function probe(compile: Compile, input: unknown) {
  const seen: unknown[] = [];
  const t = initTRPC.context<{ base: number }>().create({ isDev: false });
  const procedure: AnyProcedure = t.procedure
    .use(async (opts) => {
      const { next, getRawInput, signal: _signal, ...rest } = opts;
      seen.push(Object.keys(opts).sort(), rest, await getRawInput());
      const result = await next({ ctx: { added: 1 } });
      seen.push(result.ok ? result : describe(result.error), Object.keys(result).sort());
      return result;
    })
    .input((raw: unknown) => {
      if (typeof raw !== 'string') throw new TypeError('a text is wanted');
      return { text: raw };
    })
    .use(({ ctx, input: { text }, next }) => {
      seen.push(ctx, text);
      if (text === 'no result') return undefined as never;
      return text === 'replaced' ? next({ input: { text: 'another' } }) : next();
    })
    .output((data: unknown) => {
      if (data === 'bad output') throw new TypeError('not this');
      return data;
    })
    .query(({ ctx, input: { text }, path, batchIndex }) => {
      seen.push(ctx, path, batchIndex);
      if (text === 'thrown') throw new TRPCError({ code: 'CONFLICT', message: text });
      return text;
    });
  const call = {
    path: 'probe',
    type: 'query' as const,
    ctx: { base: 0 },
    getRawInput: async () => input,
    signal: undefined,
    batchIndex: 3,
  };
  const outcome = await compile(procedure)(call).then((data: unknown) => ({ data }), describe);
  return { outcome, seen };
}

function describe(error: unknown): unknown {
  if (!(error instanceof TRPCError)) return { error };
  return { code: error.code, message: error.message, cause: String(error.cause) };
}
