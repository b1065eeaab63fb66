import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../lib/metrics.js';
import { ADMIN_ID } from '../services/accounts.js';
import type { Services } from '../services/index.js';
import { callerOf } from './credential.js';
import type { RateLimits } from './rate-limits.js';

export interface OperationsOptions {
  services: Services;
  metrics: Metrics;
  rateLimits: RateLimits;
  /** False from the moment the server begins to stop. */
  isServing: () => boolean;
}

/** What those who run the server ask: health in the words of every API at once, readiness, metrics. */
export function mountOperations(app: FastifyInstance, options: OperationsOptions): void {
  const { services, metrics, rateLimits, isServing } = options;
  const onRequest = rateLimits.hook(undefined);
  const route = { ...(onRequest && { onRequest }), schema: { hide: true } };

  app.get('/health', route, async (_request, reply) => {
    const { status, timestamp, version, failing } = await services.system.health();
    const healthy = status === 'healthy';
    const code = healthy ? 200 : 503;
    const message = healthy ? 'Server is healthy' : `Not working: ${failing.join(', ')}`;
    return reply.code(code).send({
      success: healthy,
      data: { status, timestamp },
      ...(healthy ? {} : { error: message, failing }),
      status: healthy ? 'ok' : 'error',
      time: timestamp.replace(/\.\d+Z$/, 'Z'),
      status_code: code,
      message,
      version,
    });
  });

  app.get('/health/ready', route, async (_request, reply) => {
    const { status, failing } = await services.system.health();
    const reasons = isServing() ? failing : [...failing, 'stopping'];
    const ready = status === 'healthy' && isServing();
    return reply.code(ready ? 200 : 503).send(ready ? { ready } : { ready, failing: reasons });
  });

  app.get('/metrics', route, async (request, reply) => {
    const allowed = callerOf(request).loopback || (await isAdmin(request.credential));
    if (!allowed) {
      return reply
        .code(401)
        .send({ success: false, error: "Metrics are for this machine, or with the admin's key" });
    }
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });

  async function isAdmin(credential: string | undefined): Promise<boolean> {
    if (credential === undefined) return false;
    const principal = await services.principals.resolve(credential).catch(() => undefined);
    return principal?.account_id === ADMIN_ID;
  }
}
