import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { Instant } from '../contract/common.js';
import type { Metrics } from '../lib/metrics.js';
import { ADMIN_ID } from '../services/accounts.js';
import type { Services } from '../services/index.js';
import { callerOf } from './credential.js';

export interface OperationsOptions {
  services: Services;
  metrics: Metrics;
  /** False from the moment the server begins to stop. */
  isServing: () => boolean;
}

const Health = z.object({
  success: z.boolean(),
  data: z.object({ status: z.enum(['healthy', 'unhealthy']), timestamp: Instant }),
  error: z.string().optional(),
  failing: z.array(z.string()).optional().meta({ description: 'The parts that do not work' }),
  status: z.enum(['ok', 'error']),
  time: z.string().meta({ format: 'date-time', example: '2026-01-25T12:00:00Z' }),
  status_code: z.int(),
  message: z.string(),
  version: z.string(),
  video: z.enum(['on', 'off']).meta({ description: 'Whether video rooms can be opened' }),
});
const Readiness = z.object({
  ready: z.boolean(),
  failing: z.array(z.string()).optional().meta({ description: 'What it is not ready for' }),
});

/** What those who run the server ask: health in the words of every API at once, readiness, metrics. */
export function mountOperations(app: FastifyInstance, options: OperationsOptions): void {
  const { services, metrics, isServing } = options;
  const documented = (summary: string, response: Record<string, z.ZodType>) => ({
    schema: { summary, tags: ['System'], security: [], response },
    serializerCompiler: () => JSON.stringify,
  });

  const health = documented('Health check', { 200: Health, 503: Health });
  app.get('/health', health, async (_request, reply) => {
    const { status, timestamp, version, video, failing } = await services.system.health();
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
      video,
    });
  });

  const ready = documented('Whether the server takes requests', { 200: Readiness, 503: Readiness });
  app.get('/health/ready', ready, async (_request, reply) => {
    const { failing } = await services.system.health();
    const reasons = isServing() ? failing : [...failing, 'stopping'];
    const isReady = reasons.length === 0;
    return reply
      .code(isReady ? 200 : 503)
      .send({ ready: isReady, ...(isReady ? {} : { failing: reasons }) });
  });

  app.get('/metrics', { schema: { hide: true } }, async (request, reply) => {
    const allowed = callerOf(request).loopback || (await isAdmin(request.credential));
    if (!allowed) {
      return reply
        .code(401)
        .send({ success: false, error: "Metrics are for this machine, or with the admin's key" });
    }
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });

  /** A robot of the admin is not the admin. */
  async function isAdmin(credential: string | undefined): Promise<boolean> {
    if (credential === undefined) return false;
    const principal = await services.principals.resolve(credential).catch(() => undefined);
    return principal?.account_id === ADMIN_ID && principal.kind !== 'robot_key';
  }
}
