import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance, LogController } from 'fastify';
import { z } from 'zod';
import type { Row, Surface } from '../../src/rest-adapter/define.js';
import type { AppRouter } from '../../src/routers/index.js';
import type { Services } from '../../src/services/index.js';
import { answerCall, CallInput, CallOutput } from './rpc-call.js';

/** A module as it is served: what runs TypeScript here adds to every function. */
function built<Module>(path: string): Promise<Module> {
  return import(new URL(`../../dist/${path}`, import.meta.url).href);
}
const { SCOPES } = await built<typeof import('../../src/contract/access.js')>('contract/access.js');
const { createContexts } =
  await built<typeof import('../../src/http/context.js')>('http/context.js');
const { readCredentials } =
  await built<typeof import('../../src/http/credential.js')>('http/credential.js');
const { mountTrpcHttp } =
  await built<typeof import('../../src/http/trpc-http.js')>('http/trpc-http.js');
const { systemClock } = await built<typeof import('../../src/lib/clock.js')>('lib/clock.js');
const { createLogger } = await built<typeof import('../../src/lib/logger.js')>('lib/logger.js');
const { registerSurface, schemaController } = await built<
  typeof import('../../src/rest-adapter/register.js')
>('rest-adapter/register.js');
const { createPictureStreams } =
  await built<typeof import('../../src/rest-adapter/mjpeg.js')>('rest-adapter/mjpeg.js');
const { createEventStreams } =
  await built<typeof import('../../src/rest-adapter/sse.js')>('rest-adapter/sse.js');
const { compileIfSound } = await built<typeof import('../../src/routers/compiled-check.js')>(
  'routers/compiled-check.js',
);
const { router, scoped } =
  await built<typeof import('../../src/routers/trpc.js')>('routers/trpc.js');

// The doors of the server over two operations that do nothing, with the steps that all of its operations have.
const flags = new Set(process.argv.slice(2));
const log = createLogger('error', process.stderr);
const calls = router({
  take: scoped('status:write')
    .input(CallInput)
    .output(CallOutput)
    .mutation(({ input }) => answerCall(input)),
  ask: scoped('status:read')
    .input(CallInput.pick({ robot_id: true }))
    .output(CallOutput)
    .query(({ input }) => answerCall({ ...input } as CallInput)),
});

const row = {
  ...{ method: 'POST', procedure: 'take', summary: 'Does nothing', tag: 'bench', body: CallInput },
  toInput: ({ body }: { body: unknown }) => body,
  toData: (output: unknown) => output,
  toHeaders: () => ({}),
} as unknown as Row;
const surface: Surface = {
  name: 'bench',
  rows: [
    { ...row, path: '/row' },
    {
      ...row,
      path: '/direct',
      operation: 'direct',
      direct: async ({ bytes }) => answerCall(CallInput.parse(JSON.parse(bytes.toString('utf8')))),
    },
  ],
  success: (data) => ({ success: true, data }),
  failure: (failure) => ({ success: false, ...failure }),
  successSchema: (data) => z.object({ success: z.boolean(), data }),
  failureSchema: z.unknown(),
};

const principal = { kind: 'account', account_id: 'bench', scopes: new Set(SCOPES) };
const services = { principals: { cached: () => principal } } as unknown as Services;
const unlimited = { call() {}, login() {} };
const rooms = { create() {}, read() {}, join() {} };
const contexts = createContexts(services, unlimited, rooms, '');
const app = Fastify({
  loggerInstance: log,
  schemaController,
  childLoggerFactory: (logger) => logger,
  logController: new LogController({ disableRequestLogging: true }),
  routerOptions: { maxParamLength: 5_000 },
}) as unknown as FastifyInstance;
app.decorateRequest('identity', undefined);
readCredentials(app, {} as never);
const compiled = flags.has('--compiled') ? await compileIfSound(calls, log) : calls;
const streams = createEventStreams({ streamsPerIp: 1, clock: systemClock });
const pictures = createPictureStreams(1);
app.register(async (scope) =>
  registerSurface(scope, {
    ...{ surface, streams, pictures, createContext: contexts.forRest },
    router: compiled as unknown as AppRouter,
  }),
);
mountTrpcHttp(app, {
  ...{ router: compiled, log, fast: flags.has('--fast') },
  createContext: contexts.forTrpc,
});
await app.listen({ host: '127.0.0.1', port: 0 });
process.send?.({ port: (app.server.address() as AddressInfo).port });
process.on('SIGTERM', () => app.close().then(() => process.exit()));
process.on('disconnect', () => process.exit());
