import { type AnyProcedure, type AnyRouter, initTRPC, lazy, TRPCError } from '@trpc/server';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chainsAgree, compileIfSound } from '../../src/routers/compiled-check.js';
import { compileProcedure, compileRouter } from '../../src/routers/compiled-procedure.js';
import { appRouter } from '../../src/routers/index.js';

/** What the middlewares of one call saw, in order. */
interface Context {
  seen: unknown[];
  user?: string;
}

const t = initTRPC.context<Context>().meta<{ note: string }>().create({ isDev: false });

/** Notes everything that a middleware is given, and what came back to it. */
const noting = t.middleware(async (opts) => {
  const { ctx, next, getRawInput, ...rest } = opts;
  ctx.seen.push(
    Object.keys(opts).toSorted(),
    rest,
    await getRawInput().catch((error: unknown) => error),
  );
  const result = await next();
  ctx.seen.push(Object.keys(result).sort(), result.ok || result.error.message);
  return result;
});
const noted = t.procedure.meta({ note: 'n' }).use(noting);
const thrower = (thrown: unknown) =>
  noted.query(() => {
    throw thrown;
  });
const domain = Object.assign(new Error('domain'), { code: 'not_found' });

const router = t.router({
  plain: t.procedure.query(() => 'plain'),
  nothing: noted.query(() => undefined),
  nested: t.router({ deep: noted.mutation(({ path, input }) => ({ path, input })) }),
  all: noted.query((opts) =>
    Object.entries(opts)
      .map(([key, value]) => [key, typeof value === 'function' || value])
      .toSorted(([one], [other]) => String(one).localeCompare(String(other))),
  ),
  input: noted
    .input(z.object({ a: z.number() }))
    .use(noting)
    .input(z.object({ b: z.string().default('x') }))
    .query(({ input }) => input),
  output: noted.output(z.object({ n: z.number() })).query(() => ({ n: 1, hidden: 2 })),
  badOutput: noted.output(z.string()).query(() => 1 as never),
  context: noted
    .use(({ next }) => next({ ctx: { user: 'u' } }))
    .use(({ ctx, next }) => next({ ctx: { seen: ctx.seen, more: undefined } }))
    .use(noting)
    .query(({ ctx: { seen, ...ctx } }) => ctx),
  noContext: noted.use(({ next }) => next({ ctx: undefined as never })).query(({ ctx }) => !!ctx),
  replacedInput: noted
    .input(z.number())
    .use(({ next }) => next({ input: undefined }))
    .query(({ input }) => ({ input })),
  replacedRawInput: noted
    .use(({ next }) => next({ getRawInput: async () => 5 }))
    .input(z.number())
    .query(({ input }) => input),
  rescued: noted
    .use(async ({ next, ctx }) => {
      const result = await next();
      if (result.ok) return result;
      ctx.seen.push(result.error.code, result.error.cause);
      throw new TRPCError({ code: 'CONFLICT', message: 'other', cause: result.error });
    })
    .query(() => {
      throw domain;
    }),
  swallowed: noted
    .use(async ({ next }) => {
      await next();
      return undefined as never;
    })
    .query(() => 1),
  twice: noted
    .use(async ({ next }) => {
      await next();
      return next({ ctx: { user: 'second' } });
    })
    .query(({ ctx }) => ctx.user ?? 'first'),
  formatted: t.procedure
    .errors(({ shape }) => ({ ...shape, data: { ...shape.data, formatted: true } }))
    .use(noting)
    .query(() => {
      throw new TRPCError({ code: 'CONFLICT' });
    }),
  beforeAnything: t.procedure
    .use(() => {
      throw new TRPCError({ code: 'UNAUTHORIZED' });
    })
    .query(() => 1),
  trpcError: thrower(new TRPCError({ code: 'NOT_FOUND', message: 'm', cause: domain })),
  error: thrower(domain),
  text: thrower('text'),
  undefinedThrown: thrower(undefined),
  object: thrower({ message: 'object', code: 7 }),
  foreign: thrower(Object.assign(new Error('f'), { name: 'TRPCError', code: 'CONFLICT' })),
  iterable: noted.input(z.number()).subscription(async function* ({ input, signal }) {
    for (let n = 0; n < input && !signal?.aborted; n += 1) yield n;
  }),
});
const compiled = compileRouter(router);

const INPUTS = [undefined, null, 7, 3, {}, { a: 1 }, { a: 1, b: 2 }, { a: 'x' }];
const { signal } = new AbortController();

async function run(from: AnyRouter, path: string, getRawInput: () => Promise<unknown>) {
  const seen: unknown[] = [];
  const procedure = (from._def.procedures as Record<string, AnyProcedure>)[path] as AnyProcedure;
  const { type } = procedure._def;
  const call = { path, type, ctx: { seen }, getRawInput, signal, batchIndex: 3 };
  const outcome = await procedure(call).then(dataOf, describeError);
  return {
    outcome,
    seen: seen.map((entry) => (entry instanceof Error ? describeError(entry) : entry)),
  };
}

async function dataOf(data: unknown) {
  if (typeof data !== 'object' || data === null || !(Symbol.asyncIterator in data)) return { data };
  const items: unknown[] = [];
  for await (const item of data as AsyncIterable<unknown>) items.push(item);
  return { items };
}

/** Everything of an error but where it was made. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { thrown: error };
  const { stack: _stack, cause, ...own } = error;
  const symbols = Object.getOwnPropertySymbols(error).map((key) => Reflect.get(error, key));
  return {
    ...{ kind: error.constructor.name, name: error.name, message: error.message, own, symbols },
    cause: cause && describeError(cause),
  };
}

describe('a compiled procedure', () => {
  it.each(Object.keys(router._def.procedures))('is the same as before: %s', async (path) => {
    for (const input of INPUTS) {
      const read = async () => input;
      expect(await run(compiled, path, read)).toEqual(await run(router, path, read));
    }
    const unreadable = async () => {
      throw new TRPCError({ code: 'PARSE_ERROR', message: 'no JSON' });
    };
    expect(await run(compiled, path, unreadable)).toEqual(await run(router, path, unreadable));
  });

  it('is another function with the same definition', () => {
    const procedures = appRouter._def.procedures as unknown as Record<string, AnyProcedure>;
    for (const [path, procedure] of Object.entries(procedures)) {
      const copy = compileProcedure(procedure);
      expect([path, copy !== procedure, copy._def === procedure._def]).toEqual([path, true, true]);
      expect(Object.keys(copy)).toEqual(Object.keys(procedure));
    }
  });

  it('passes on the very errors, contexts and signals', async () => {
    const error = new TRPCError({ code: 'CONFLICT' });
    const failing = compileProcedure(thrower(error));
    const ctx = { seen: [] };
    const call = { path: 'p', type: 'query' as const, ctx, signal, batchIndex: 0 };
    await expect(failing({ ...call, getRawInput: async () => 1 })).rejects.toBe(error);
    const showing = compileProcedure(t.procedure.query((opts) => opts));
    const opts = await showing({ ...call, getRawInput: async () => 1 });
    expect(opts.ctx).toBe(ctx);
    expect(opts.signal).toBe(signal);
  });

  it('leaves a call with an option that it does not know to the library', async () => {
    const showing = compileProcedure(t.procedure.query((opts) => Object.keys(opts)));
    const call = { path: 'p', type: 'query' as const, ctx: {}, signal, batchIndex: 0 };
    const getRawInput = async () => 1;
    expect(await showing({ ...call, getRawInput, more: 1 } as never)).toContain('more');
  });

  it('refuses a call without options as the library does', async () => {
    const { plain } = router._def.procedures;
    const own = await (plain as unknown as () => Promise<unknown>)().catch(String);
    await expect(
      (compileProcedure(plain) as unknown as () => Promise<unknown>)().catch(String),
    ).resolves.toBe(own);
  });
});

describe('what is built otherwise', () => {
  it.each<[string, object]>([
    ['no middlewares', { middlewares: undefined }],
    ['middlewares of another kind', { middlewares: [{ run: () => {} }] }],
    ['middlewares by name', { middlewares: { first: () => {} } }],
    ['an empty chain', { middlewares: [] }],
    ['a caller of its own', { experimental_caller: true }],
  ])('stays as it is: %s', (_name, difference) => {
    const procedure = Object.assign(() => Promise.resolve(1), {
      _def: { ...router._def.procedures.plain._def, ...difference },
    }) as unknown as AnyProcedure;
    expect(compileProcedure(procedure)).toBe(procedure);
  });

  it('stays as it is: a real procedure with its own caller', () => {
    const special = t.procedure
      .experimental_caller(async ({ args }) => args)
      .query(() => 1) as unknown as AnyProcedure;
    expect(compileProcedure(special)).toBe(special);
  });
});

describe('the check at the start', () => {
  it('is content with this version of the library, and says nothing', async () => {
    const warnings: string[] = [];
    expect(await chainsAgree()).toBe(true);
    const sound = await compileIfSound(appRouter, { warn: (text) => void warnings.push(text) });
    expect(sound).not.toBe(appRouter);
    expect(Object.keys(sound._def.procedures)).toEqual(Object.keys(appRouter._def.procedures));
    expect(warnings).toEqual([]);
  });

  type Call = Parameters<AnyProcedure>[0];
  const changed = (change: (procedure: AnyProcedure, opts: Call) => Promise<unknown>) =>
    ((procedure: AnyProcedure) =>
      Object.assign((opts: Call) => change(compileProcedure(procedure), opts), procedure)) as (
      procedure: AnyProcedure,
    ) => AnyProcedure;
  it.each<[string, (procedure: AnyProcedure) => AnyProcedure]>([
    ['nothing is compiled', (procedure) => procedure],
    ['an output is another', changed(async (procedure, opts) => [await procedure(opts)])],
    ['an error is another', changed((procedure, opts) => procedure(opts).catch(() => undefined))],
    ['a context is another', changed((procedure, opts) => procedure({ ...opts, ctx: {} }))],
    ['an index is lost', changed((procedure, opts) => procedure({ ...opts, batchIndex: 0 }))],
    [
      'it throws',
      () => {
        throw new Error('unknown');
      },
    ],
  ])('sees when %s', async (_name, compile) => {
    expect(await chainsAgree(compile)).toBe(false);
  });

  it('leaves routers that load later to the library, with a warning', async () => {
    const warnings: string[] = [];
    const later = t.router({ sub: lazy(async () => t.router({ a: t.procedure.query(() => 1) })) });
    expect(await compileIfSound(later, { warn: (text) => void warnings.push(text) })).toBe(later);
    expect(warnings).toHaveLength(1);
  });
});
