import { z } from 'zod';
import { Instant, InstantInput, isShallow, plainText, RobotId, TOO_DEEP } from './common.js';
import { EventId } from './status.js';
import { DurableInput } from './streams.js';

/** The id of a message schema as its owner chose it. */
export const SchemaId = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9_-]{0,63}$/,
    'must be 1 to 64 small letters, digits, hyphens and underscores, and begin with a letter or digit',
  )
  .meta({ example: 'wheel_odometry' });

const JsonObject = z.record(z.string(), z.unknown()).refine(isShallow, TOO_DEEP);
const Title = plainText(200).min(1);
const Schema = JsonObject.meta({
  description: 'JSON Schema, 2020-12 or draft-07, of at most 64 KiB; it may refer to itself alone',
});
const Example = JsonObject.meta({ description: 'A message that the schema takes' });

export const CreateMessageSchemaInput = z.object({
  id: SchemaId,
  title: Title,
  schema: Schema,
  example: Example,
});
export type CreateMessageSchemaInput = z.infer<typeof CreateMessageSchemaInput>;

export const UpdateMessageSchemaInput = z.object({
  schema_id: SchemaId,
  title: Title.optional(),
  schema: Schema.optional(),
  example: Example.optional(),
});
export type UpdateMessageSchemaInput = z.infer<typeof UpdateMessageSchemaInput>;

export const MessageSchemaInput = z.object({ schema_id: SchemaId });

/** A kind of message that an account defined for its robots. */
export const MessageSchema = z
  .object({
    id: SchemaId,
    title: z.string(),
    method: z.literal('POST'),
    endpoint: z.string().meta({ example: '/api/v1/robots/{robot_id}/messages/wheel_odometry' }),
    schema: z.record(z.string(), z.unknown()).meta({ description: 'JSON Schema' }),
    example: z.record(z.string(), z.unknown()),
    created_at: Instant,
    updated_at: Instant,
  })
  .meta({ id: 'MessageSchema' });
export type MessageSchema = z.infer<typeof MessageSchema>;
export const DeletedMessageSchema = z.object({ message: z.string(), schema_id: SchemaId });

/** What a robot says in a shape of its account's own. */
export const MessagePayload = JsonObject.meta({
  id: 'MessagePayload',
  description: 'Any JSON object that the schema takes; kept as it came',
});

export const PushMessageInput = z.object({
  robot_id: RobotId,
  schema_id: SchemaId,
  payload: MessagePayload,
  timestamp: InstantInput.optional().meta({
    description: 'When the robot recorded it; by default now',
  }),
  event_id: EventId.optional(),
});
export const PushedMessage = z.object({
  message: z.string().meta({ example: 'Message stored' }),
  id: z.int().optional().meta({
    description: 'The id of the message; absent for an event_id that was stored before',
  }),
});
export type PushedMessage = z.infer<typeof PushedMessage>;

export const MessageEntry = z.object({
  id: z.int(),
  robot_id: RobotId,
  schema_id: z.string(),
  payload: z.record(z.string(), z.unknown()).meta({ description: 'The message as it was sent' }),
  timestamp: Instant.meta({ description: 'When the robot recorded it' }),
  received_at: Instant.meta({ description: 'When the server received it' }),
});
export type MessageEntry = z.infer<typeof MessageEntry>;

export const MESSAGES_LIMIT = 1_000;
export const MessagesInput = z.object({
  robot_id: RobotId,
  schema_id: SchemaId.optional(),
  start: InstantInput.optional(),
  end: InstantInput.optional(),
  limit: z.int().min(1).max(MESSAGES_LIMIT).default(100),
  cursor: z.string().max(64).optional().meta({ description: 'next_cursor of the page before' }),
});
export const Messages = z.object({
  robot_id: RobotId,
  count: z.int(),
  messages: z.array(MessageEntry).meta({
    description: 'Newest first; fewer than asked for when they are large',
  }),
  next_cursor: z.string().nullable(),
});

export const LiveMessagesInput = DurableInput.extend({
  schema_id: SchemaId.optional().meta({ description: 'By default every schema' }),
});
export type LiveMessagesInput = z.infer<typeof LiveMessagesInput>;
/** A message as its watchers get it. */
export const LiveMessage = MessageEntry.extend({ type: z.literal('message') });
export type LiveMessage = z.infer<typeof LiveMessage>;
