import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { z } from 'zod';
import { SCOPES } from '../../src/contract/access.js';
import { createContexts } from '../../src/http/context.js';
import { readCredentials } from '../../src/http/credential.js';
import { mountTrpcHttp } from '../../src/http/trpc-http.js';
import { systemClock } from '../../src/lib/clock.js';
import { createLogger } from '../../src/lib/logger.js';
import type { Row, Surface } from '../../src/rest-adapter/define.js';
import { registerSurface } from '../../src/rest-adapter/register.js';
import { createEventStreams } from '../../src/rest-adapter/sse.js';
import { compileIfSound } from '../../src/routers/compiled-check.js';
import type { AppRouter } from '../../src/routers/index.js';
import { router, scoped } from '../../src/routers/trpc.js';
import type { Services } from '../../src/services/index.js';
import { answerCall, CallInput, CallOutput } from './rpc-call.js';

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
      direct: async ({ body }) => answerCall(CallInput.parse(body)),
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
const contexts = createContexts(services, unlimited, '');
const app = Fastify({
  loggerInstance: log,
  childLoggerFactory: (logger) => logger,
  disableRequestLogging: true,
  routerOptions: { maxParamLength: 5_000 },
}) as unknown as FastifyInstance;
app.decorateRequest('bodyText', '');
app.decorateRequest('identity', undefined);
readCredentials(app, {} as never);
const compiled = flags.has('--compiled') ? await compileIfSound(calls, log) : calls;
const streams = createEventStreams({ streamsPerIp: 1, clock: systemClock });
app.register(async (scope) =>
  registerSurface(scope, {
    ...{ surface, streams, createContext: contexts.forRest },
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
