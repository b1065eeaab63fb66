import Fastify, { type FastifyInstance, type RouteOptions } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { onDemand } from '../lib/on-demand.js';
import { schemaController } from './register.js';

declare module 'fastify' {
  interface FastifyInstance {
    /** The OpenAPI document of the routes, made for the first who asks. Call it when the app is ready. */
    openapi(): Promise<object>;
  }
}

/** Collects the OpenAPI document from the routes that are added after it. */
export function registerOpenapi(app: FastifyInstance, version: string): void {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    if (!route.schema?.hide) routes.push(route);
  });
  app.decorate(
    'openapi',
    onDemand(() => documentOf(routes, version)),
  );
}

/** The plugin wants to see routes being added, so they are, to an app that serves nobody. */
async function documentOf(routes: readonly RouteOptions[], version: string): Promise<object> {
  const { default: swagger } = await import('@fastify/swagger');
  const app = Fastify({ schemaController, exposeHeadRoutes: false });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Fleetwire',
        version,
        description:
          'The fleet API: robots push status, logs and alerts, people and programs read them. ' +
          'Log in for a certification key and send it as a bearer token. ' +
          'Dashboards in TypeScript use tRPC instead, with the same operations: see `fleetwire/client`.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description: 'A certification key, or an API key (`fwk_…`, `fwr_…`)',
          },
          token: {
            ...{ type: 'apiKey', in: 'query', name: 'token' },
            description: 'The bearer token, for event streams of browsers, which send no header',
          },
          ticket: {
            ...{ type: 'apiKey', in: 'query', name: 'ticket' },
            description: 'The same, good once and for 60 s: see `POST /api/v1/streams/ticket`',
          },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  for (const { method, url, schema = {} } of routes) {
    if (method !== 'HEAD') app.route({ method, url, schema, handler: () => {} });
  }
  await app.ready();
  return app.swagger();
}

/** The document as committed: stable, and readable in a diff. Call it when the app is ready. */
export async function openapiJson(app: FastifyInstance): Promise<string> {
  return `${JSON.stringify(await app.openapi(), null, 2)}\n`;
}
