import { isDeepStrictEqual } from 'node:util';
import { type AnyRouter, initTRPC, TRPCError } from '@trpc/server';
import { resolveResponse } from '@trpc/server/http';
import { createFastDoor, type Failure, type FastDoorOptions } from './trpc-http-fast.js';

/** One of each kind: a right call, every way to be wrong, a batch with different endings. */
const REQUESTS: [method: string, target: string, body?: string][] = [
  ['GET', 'echo?input=%7B%22a%22%3A1%7D'],
  ['GET', 'echo'],
  ['GET', 'echo?input=%7B'],
  ['POST', 'store', '[1]'],
  ['POST', 'store', ''],
  ['POST', 'store', '{'],
  ['POST', 'echo', '1'],
  ['GET', 'nothing'],
  ['GET', 'refuse'],
  ['GET', 'stream'],
  ['GET', 'told'],
  ['GET', 'endless'],
  ['GET', 'echo,refuse,nothing?batch=1&input=%7B%220%22%3A1%7D'],
  ['POST', 'store,store?batch=1', '{"1":null}'],
  ['POST', 'store?batch=1', '[]'],
];

/**
 * Whether the fast door answers a small router as the library does: status, headers, body, and what `onError` is told.
 * `router` is the one that it is wanted for; with a setting that the door does not know the answer is no.
 */
export async function fastDoorAgrees(
  router: AnyRouter,
  createDoor: typeof createFastDoor = createFastDoor,
): Promise<boolean> {
  try {
    const { _config, lazy } = router._def;
    if (_config.pathSeparator !== '.' || Object.keys(lazy).length > 0) return false;
    for (const [method, target, body] of REQUESTS) {
      const own = await fastAnswer(createDoor, method, target, body);
      if (!isDeepStrictEqual(own, await libraryAnswer(method, target, body))) return false;
    }
    return true;
  } catch {
    return false;
  }
}

function smallRouter(): AnyRouter {
  const t = initTRPC.create({ isDev: false });
  const echo = t.procedure.input((raw) => raw);
  return t.router({
    echo: echo.query(({ input }) => input),
    store: echo.mutation(({ input }) => ({ stored: input })),
    refuse: t.procedure.query(() => {
      throw new TRPCError({ code: 'CONFLICT', cause: new Error('taken') });
    }),
    stream: t.procedure.query(() => ({ later: Promise.resolve(1) })),
    told: t.procedure.query((opts) => Object.keys(opts).sort()),
    endless: t.procedure.query(() => 1n),
  });
}

const headersFor = (errors: TRPCError[]) => ({ 'x-errors': String(errors.length) });
const signal = new AbortController().signal;

function collector() {
  const failures: unknown[] = [];
  const onError = ({
    error,
    path,
    input,
    type,
  }: Pick<Failure, 'error' | 'path' | 'input' | 'type'>) =>
    void failures.push([error.code, error.message, path, input, type]);
  return { failures, onError };
}

async function fastAnswer(
  createDoor: (options: FastDoorOptions) => ReturnType<typeof createFastDoor>,
  method: string,
  target: string,
  body: string | undefined,
): Promise<unknown> {
  const { failures, onError } = collector();
  const door = createDoor({ router: smallRouter(), batchLimitCalls: 10, onError, headersFor });
  const headers = { host: 'localhost', ...(body !== undefined && JSON_HEADERS) };
  const path = target.split('?', 1)[0] as string;
  const calls = door.read({ method, path, url: `/trpc/${target}`, headers, body });
  if (!calls) return undefined;
  const answer = await door.answer(calls, { createContext: () => ({}), signal });
  return { ...answer, failures };
}

const JSON_HEADERS = { 'content-type': 'application/json' };

async function libraryAnswer(
  method: string,
  target: string,
  body: string | undefined,
): Promise<unknown> {
  const { failures, onError } = collector();
  const response = await resolveResponse({
    router: smallRouter(),
    req: new Request(`http://localhost/trpc/${target}`, {
      method,
      ...(body !== undefined && { body, headers: JSON_HEADERS }),
    }),
    path: target.split('?', 1)[0] as string,
    error: null,
    createContext: async () => ({}),
    onError,
    responseMeta: ({ errors }) => ({ headers: headersFor(errors) }),
  });
  const headers = Object.fromEntries(response.headers);
  return { status: response.status, headers, body: await response.text(), failures };
}
