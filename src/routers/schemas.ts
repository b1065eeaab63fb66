import type { Principal } from '../contract/access.js';
import { toInstant } from '../contract/common.js';
import {
  CreateMessageSchemaInput,
  DeletedMessageSchema,
  MessageSchema,
  MessageSchemaInput,
  UpdateMessageSchemaInput,
} from '../contract/messages.js';
import { SchemaDocument, SchemaInput, SchemaList } from '../contract/schemas.js';
import { DomainError } from '../lib/errors.js';
import { type MessageSchemaRecord, messageEndpoint } from '../services/message-schemas.js';
import type { Context } from './context.js';
import { publicProcedure, router, scoped } from './trpc.js';

/** Who is calling, where that changes the answer but nobody is sent away: null for nobody, or a key that is no good. */
async function whoeverCalls(ctx: Context): Promise<Principal | null> {
  try {
    return await ctx.authenticate();
  } catch (error) {
    if (error instanceof DomainError && error.code === 'unauthenticated') return null;
    throw error;
  }
}

export const schemasRouter = router({
  list: publicProcedure.output(SchemaList).query(async ({ ctx }) => ({
    schemas: await ctx.services.schemas.list(await whoeverCalls(ctx)),
  })),

  get: publicProcedure
    .input(SchemaInput)
    .output(SchemaDocument)
    .query(async ({ ctx, input }) =>
      ctx.services.schemas.get(await whoeverCalls(ctx), input.schema_id),
    ),
});

export const messageSchemasRouter = router({
  create: scoped('schemas:write', { audit: 'schema.create' })
    .input(CreateMessageSchemaInput)
    .output(MessageSchema)
    .mutation(async ({ ctx, input }) =>
      toWire(await ctx.services.messageSchemas.create(ctx.principal, input)),
    ),

  update: scoped('schemas:write', { audit: 'schema.update' })
    .input(UpdateMessageSchemaInput)
    .output(MessageSchema)
    .mutation(async ({ ctx, input }) =>
      toWire(await ctx.services.messageSchemas.update(ctx.principal, input)),
    ),

  delete: scoped('schemas:write', { audit: 'schema.delete' })
    .input(MessageSchemaInput)
    .output(DeletedMessageSchema)
    .mutation(async ({ ctx, input: { schema_id } }) => {
      await ctx.services.messageSchemas.delete(ctx.principal, schema_id);
      return { message: 'Schema deleted successfully', schema_id };
    }),
});

function toWire({ id, title, ...record }: MessageSchemaRecord): MessageSchema {
  return {
    id,
    title,
    method: 'POST',
    endpoint: messageEndpoint(id),
    ...record,
    created_at: toInstant(record.created_at),
    updated_at: toInstant(record.updated_at),
  };
}
