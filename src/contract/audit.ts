import { z } from 'zod';
import { Instant, InstantInput, plainText } from './common.js';

export const AuditEntry = z
  .object({
    id: z.int(),
    created_at: Instant,
    actor_kind: z.enum(['account', 'api_key', 'robot_key', 'anonymous']).meta({
      description: 'What the caller proved to be; `anonymous` for who tried to log in and failed',
    }),
    actor_id: z.string().nullable().meta({
      description: 'The id of the account or of the API key; null for `anonymous`',
    }),
    action: z.string().meta({ example: 'command.send' }),
    robot_id: z.string().nullable(),
    subject_id: z.string().nullable().meta({
      description: 'The id of what it was done to: a command, an alert, a key, a map, an account',
    }),
    door: z.enum(['rest', 'trpc']),
    ip: z.string().nullable(),
    outcome: z.string().meta({
      description: '`ok`, or the code of the refusal; `internal` when the server failed',
      example: 'ok',
    }),
    details: z.record(z.string(), z.unknown()).nullable().meta({
      description:
        'A few harmless fields of the request. Refusals that repeat within a minute are one entry, with their `count` and `last_at`',
    }),
  })
  .meta({ id: 'AuditEntry' });
export type AuditEntry = z.infer<typeof AuditEntry>;

export const AuditList = z.object({
  entries: z.array(AuditEntry),
  count: z.int(),
  next_cursor: z
    .string()
    .nullable()
    .meta({ description: 'Where the next page begins; null at the end' }),
});
export type AuditList = z.infer<typeof AuditList>;

/** A filter is off when it is absent or, as forms send it, empty. */
const filter = plainText(128)
  .optional()
  .transform((text) => text || undefined);
const LIMIT = 1_000;

export const AuditFilter = z.object({
  action: filter.meta({ description: 'Such as `command.send`' }),
  robot_id: filter,
  actor_id: filter.meta({ description: 'The id of an account or of an API key' }),
});
export const AuditQuery = AuditFilter.extend({
  start: InstantInput.optional(),
  end: InstantInput.optional(),
  limit: z.int().min(1).max(LIMIT).default(100),
  cursor: z.string().max(20).nullish().meta({ description: '`next_cursor` of the page before' }),
});
export type AuditQuery = z.infer<typeof AuditQuery>;
