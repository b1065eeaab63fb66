import {
  ApiKey,
  ApiKeyList,
  CreateKeyInput,
  NewApiKey,
  RevokeKeyInput,
  RotateKeyInput,
} from '../contract/access.js';
import { toInstant } from '../contract/common.js';
import type { ApiKeyRecord } from '../services/api-keys.js';
import { router, scoped } from './trpc.js';

export const keysRouter = router({
  create: scoped('keys:write', { audit: 'key.create' })
    .input(CreateKeyInput)
    .output(NewApiKey)
    .mutation(async ({ ctx, input }) =>
      toWire(await ctx.services.apiKeys.create(ctx.principal, input)),
    ),

  list: scoped('keys:write')
    .output(ApiKeyList)
    .query(async ({ ctx }) => {
      const keys = await ctx.services.apiKeys.list(ctx.principal);
      return { keys: keys.map(toWire), count: keys.length };
    }),

  rotate: scoped('keys:write', { audit: 'key.rotate' })
    .input(RotateKeyInput)
    .output(NewApiKey)
    .mutation(async ({ ctx, input }) =>
      toWire(await ctx.services.apiKeys.rotate(ctx.principal, input)),
    ),

  revoke: scoped('keys:write', { audit: 'key.revoke' })
    .input(RevokeKeyInput)
    .output(ApiKey)
    .mutation(async ({ ctx, input }) =>
      toWire(await ctx.services.apiKeys.revoke(ctx.principal, input.key_id)),
    ),
});

function toWire<T extends ApiKeyRecord>(record: T) {
  return {
    ...record,
    created_at: toInstant(record.created_at),
    expires_at: instantOrNull(record.expires_at),
    last_used_at: instantOrNull(record.last_used_at),
    revoked_at: instantOrNull(record.revoked_at),
  };
}

function instantOrNull(ms: number | null): string | null {
  return ms === null ? null : toInstant(ms);
}
