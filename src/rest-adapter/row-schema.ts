import { validatorCompiler } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { AppRouter } from '../routers/index.js';
import type { ProcedureMeta } from '../routers/trpc.js';
import type { ProcedurePath, Row, Surface } from './define.js';

/** What a route is told of the procedure behind it. */
export interface ProcedureFacts {
  meta: ProcedureMeta;
  output: z.ZodType;
}

export function procedureFacts(row: Row, router: AppRouter): ProcedureFacts {
  // Keyed by path at run time; tRPC types it as nested by router.
  const procedures = router._def.procedures as unknown as Record<
    ProcedurePath,
    { _def: ProcedureFacts }
  >;
  return procedures[row.procedure]._def;
}

/** The schema of a row's route: what is judged on the way in, and what the OpenAPI document says. */
export function schemaOf(row: Row, surface: Surface, { meta, output }: ProcedureFacts) {
  return {
    summary: row.summary,
    tags: [row.tag],
    operationId: row.operation ?? `${row.procedure}`,
    security: securityOf(row, meta),
    ...(row.params && { params: row.params }),
    ...querySchema(row),
    ...bodySchema(row),
    ...(row.requestHeaders && { headers: row.requestHeaders }),
    response: {
      ...answerSchemas(row, surface, output),
      '4xx': surface.failureSchema,
      '5xx': surface.failureSchema,
    },
  };
}

function securityOf({ sse, urlCredential }: Row, { access, guests }: ProcedureMeta) {
  if (access === 'public') return [];
  if (guests) return [{}, { bearer: [] }, { token: [] }];
  return sse || urlCredential ? [{ bearer: [] }, { token: [] }, { ticket: [] }] : [{ bearer: [] }];
}

export const StreamQuery = z.object({
  last_event_id: z.string().max(32).optional().meta({
    description:
      'Where to go on, as `Last-Event-ID`, which wins; empty begins with what comes from now on',
  }),
});

function querySchema({ query, sse }: Row) {
  if (!sse) return query ? { querystring: query } : {};
  const own = query instanceof z.ZodObject ? query.shape : {};
  return { querystring: StreamQuery.extend(own) };
}

function bodySchema({ body, upload, raw }: Row) {
  if (raw) return { body: BINARY, consumes: [raw.takes] };
  if (upload) return { body: upload.body, consumes: ['multipart/form-data'] };
  return body ? { body } : {};
}

const BINARY = z.string().meta({ format: 'binary' });

function answerSchemas(row: Row, surface: Surface, output: z.ZodType) {
  const { answers } = row.raw ?? {};
  if (!answers) return { 200: answerSchema(row, surface, output) };
  const schemas = Object.entries(answers).map(([status, type]): [string, object] => [
    status,
    type === null ? z.null() : { content: { [type]: { schema: BINARY } } },
  ]);
  return Object.fromEntries(schemas);
}

function answerSchema({ data, sse, file, text, mjpeg }: Row, surface: Surface, output: z.ZodType) {
  if (mjpeg) return { content: { 'multipart/x-mixed-replace': { schema: BINARY } } };
  if (text) return { content: { [text.type]: { schema: z.string() } } };
  if (file) {
    return { content: Object.fromEntries(file.types.map((type) => [type, { schema: BINARY }])) };
  }
  if (!sse) return surface.successSchema(data ?? output);
  const description = 'Server-sent events; each `data` is JSON of this form';
  return { description, content: { 'text/event-stream': { schema: data ?? output } } };
}

/** Judges a body and leaves it as it was sent, because the procedure parses it again. A direct row judges by itself. */
export function bodyValidator({ direct, body }: Row): (data: unknown) => true | { error: Error } {
  if (direct || !body) return () => true;
  const validate = validatorCompiler({ schema: body } as never);
  return (data) => {
    // Null is what Fastify makes of a body that is not there.
    const result = validate(data ?? undefined);
    return typeof result === 'object' && 'error' in result && result.error
      ? { error: result.error as Error }
      : true;
  };
}
