import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openapiJson } from '../../src/rest-adapter/openapi.js';
import { notExposed, surfaces } from '../../src/rest-adapter/surfaces/index.js';
import { appRouter } from '../../src/routers/index.js';
import { useApp } from '../support/app.js';
import { testDatabases } from '../support/databases.js';

const root = join(import.meta.dirname, '../..');
const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options', 'trace'];
const TYPES = ['null', 'boolean', 'object', 'array', 'number', 'string', 'integer'];

/** Every path of seeds 000 and 001. */
const SEED_PATHS = [
  'POST /api/rooms/create',
  'GET /api/rooms/{roomId}',
  'GET /health',
  'GET /version',
  'GET /api/v1/config',
  'POST /api/v1/auth/login',
  'GET /api/v1/schemas',
  'GET /api/v1/schemas/{id}',
  'POST /api/v1/robots',
  'GET /api/v1/robots',
  'POST /api/v1/robots/{robotId}/status',
  'GET /api/v1/robots/{robotId}/status',
  'GET /api/v1/robots/{robotId}/history',
  'GET /api/v1/robots/{robotId}/trajectory',
  'GET /api/v1/robots/{robotId}/token',
  'POST /api/v1/robots/{robotId}/logs',
  'GET /api/v1/robots/{robotId}/logs/subscribe',
  'POST /api/v1/robots/{robotId}/alert',
  'POST /api/v1/robots/{robotId}/control',
  'GET /api/v1/robots/{robotId}/control/logs',
  'GET /api/v1/actions',
  'GET /api/v1/actions/all',
  'POST /api/v1/actions',
  'GET /api/v1/actions/{actionId}',
  'PUT /api/v1/actions/{actionId}',
  'DELETE /api/v1/actions/{actionId}',
  'GET /api/v1/alerts',
  'POST /api/v1/alerts/{alertId}/acknowledge',
  'POST /api/v1/alerts/{alertId}/resolve',
  'POST /api/v1/map/upload',
  'GET /api/v1/map/latest',
  'GET /api/v1/map/{id}/image',
  'GET /api/v1/maps',
];

type Json = Record<string, unknown>;
interface Operation {
  operationId?: string;
  summary?: string;
  parameters?: { name: string; in: string; required?: boolean; schema?: Json }[];
  requestBody?: { content: Record<string, { schema: Json }> };
  responses: Record<string, { description?: string; content?: Record<string, { schema: Json }> }>;
  security?: Record<string, string[]>[];
}
interface Document {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json>; securitySchemes: Record<string, Json> };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function resolves(document: unknown, ref: string): boolean {
  let at: unknown = document;
  for (const part of ref.replace(/^#\//, '').split('/')) at = isObject(at) ? at[part] : undefined;
  return ref.startsWith('#/') && at !== undefined;
}

/** What is wrong with a schema of JSON Schema 2020-12, and with those inside it. */
function schemaProblems(document: unknown, schema: unknown, where: string): string[] {
  if (typeof schema === 'boolean') return [];
  if (!isObject(schema)) return [`${where} is no schema`];
  const problems: string[] = [];
  const { $ref, type, required, nullable } = schema;
  if ($ref !== undefined && !resolves(document, String($ref))) problems.push(`${where}: ${$ref}`);
  if (nullable !== undefined) problems.push(`${where}: nullable is not of OpenAPI 3.1`);
  for (const name of [type ?? []].flat()) {
    if (!TYPES.includes(String(name))) problems.push(`${where}: type ${name}`);
  }
  if (required !== undefined && !Array.isArray(required)) problems.push(`${where}: required`);
  const inside: [string, unknown][] = [];
  for (const key of ['properties', 'patternProperties', '$defs']) {
    if (schema[key] !== undefined) inside.push(...Object.entries(schema[key] as Json));
  }
  for (const key of ['anyOf', 'oneOf', 'allOf', 'prefixItems']) {
    if (schema[key] === undefined) continue;
    if (!Array.isArray(schema[key])) problems.push(`${where}: ${key} is no list`);
    else for (const [index, inner] of schema[key].entries()) inside.push([`${key}${index}`, inner]);
  }
  for (const key of ['items', 'additionalProperties', 'not', 'propertyNames']) {
    if (schema[key] !== undefined) inside.push([key, schema[key]]);
  }
  for (const [name, inner] of inside) {
    problems.push(...schemaProblems(document, inner, `${where}/${name}`));
  }
  return problems;
}

function operationsOf({ paths }: Document): [string, string, Operation][] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): [string, string, Operation] => [
      method,
      path,
      operation,
    ]),
  );
}

function operationProblems(document: Document, method: string, path: string, op: Operation) {
  const where = `${method} ${path}`;
  const problems: string[] = [];
  if (!METHODS.includes(method)) problems.push(`${where}: no method of OpenAPI`);
  if (!path.startsWith('/')) problems.push(`${where}: no leading slash`);
  if (!op.summary) problems.push(`${where}: no summary`);
  const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const parameters = op.parameters ?? [];
  const declared = parameters.filter((parameter) => parameter.in === 'path');
  if (
    named.sort().join() !==
    declared
      .map(({ name }) => name)
      .sort()
      .join()
  ) {
    problems.push(`${where}: its path has ${named}, its parameters ${declared.map((p) => p.name)}`);
  }
  for (const { name, in: place, required, schema } of parameters) {
    if (!['path', 'query', 'header', 'cookie'].includes(place)) problems.push(`${where}: ${place}`);
    if (place === 'path' && required !== true) problems.push(`${where}: ${name} must be required`);
    problems.push(...schemaProblems(document, schema, `${where} ${name}`));
  }
  const statuses = Object.keys(op.responses);
  if (!statuses.some((status) => /^20\d$/.test(status))) problems.push(`${where}: no success`);
  for (const [status, { description, content }] of Object.entries(op.responses)) {
    if (!/^([1-5]\d\d|[1-5]XX|default)$/.test(status)) problems.push(`${where}: status ${status}`);
    if (typeof description !== 'string') problems.push(`${where} ${status}: no description`);
    for (const [type, { schema }] of Object.entries(content ?? {})) {
      problems.push(...schemaProblems(document, schema, `${where} ${status} ${type}`));
    }
  }
  for (const [type, { schema }] of Object.entries(op.requestBody?.content ?? {})) {
    problems.push(...schemaProblems(document, schema, `${where} body ${type}`));
  }
  for (const scheme of (op.security ?? []).flatMap(Object.keys)) {
    if (!document.components.securitySchemes[scheme]) problems.push(`${where}: scheme ${scheme}`);
  }
  return problems;
}

describe('the OpenAPI document', () => {
  const app = useApp(testDatabases[0]!);
  const committed = readFileSync(join(root, 'openapi.json'), 'utf8');
  const document = JSON.parse(committed) as Document;

  it('is committed as the routes have it now (else: npm run openapi)', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const now = JSON.parse(await openapiJson(app().app.server)) as Document;
    expect({ ...now, info: { ...now.info, version } }).toEqual(document);
    expect(committed).toBe(`${JSON.stringify(document, null, 2)}\n`);
  });

  it('is what the server gives at /openapi.json', async () => {
    const { status, json } = await app().call('GET', '/openapi.json', undefined, null);
    expect(status).toBe(200);
    expect(json).toEqual({ ...document, info: { ...document.info, version: '0.0.0-test' } });
  });

  it('is valid OpenAPI 3.1', () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({ title: 'Fleetwire', version: expect.any(String) });
    const operations = operationsOf(document);
    expect(operations.length).toBeGreaterThan(15);
    expect(
      operations.flatMap(([method, path, operation]) =>
        operationProblems(document, method, path, operation),
      ),
    ).toEqual([]);
    expect(
      Object.entries(document.components.schemas).flatMap(([name, schema]) =>
        schemaProblems(document, schema, name),
      ),
    ).toEqual([]);
    const ids = operations.map(([, , { operationId }]) => operationId).filter(Boolean);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each(SEED_PATHS)('has %s of the original API', (call) => {
    const [method = '', path = ''] = call.split(' ');
    expect(document.paths[path]?.[method.toLowerCase()]?.summary).toEqual(expect.any(String));
  });

  it('asks for a bearer token wherever the server does', async () => {
    for (const [method, path, { security }] of operationsOf(document)) {
      // Nothing is asked of anybody, or of guests.
      if (security?.length === 0 || security?.some((one) => Object.keys(one).length === 0))
        continue;
      const url = path.replaceAll(/\{\w+\}/g, 'x');
      const { status } = await app().call(method.toUpperCase(), url, undefined, null);
      expect([method, path, status]).toEqual([method, path, 401]);
    }
  });
});

describe('the REST surfaces', () => {
  it('have a row for every procedure, or say why not', () => {
    const exposed = surfaces.flatMap(({ rows }) => rows.map(({ procedure }) => String(procedure)));
    const hidden = Object.keys(notExposed);
    const all = Object.keys(appRouter._def.procedures);
    expect(hidden.filter((name) => exposed.includes(name))).toEqual([]);
    expect([...new Set([...exposed, ...hidden])].sort()).toEqual(all.sort());
  });
});
