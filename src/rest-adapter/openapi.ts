import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';

/** Collects the OpenAPI document from the routes that are added after it. */
export async function registerOpenapi(app: FastifyInstance, version: string): Promise<void> {
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
}

/** The document as committed: stable, and readable in a diff. Call it when the app is ready. */
export function openapiJson(app: FastifyInstance): string {
  return `${JSON.stringify(app.swagger(), null, 2)}\n`;
}
