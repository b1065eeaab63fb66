import { z } from 'zod';
import { Instant, InstantInput, plainText, RobotId } from './common.js';
import { BATCH_LIMIT, EventId } from './status.js';
import { DurableInput } from './streams.js';

export const PushLogInput = z.object({
  robot_id: RobotId,
  topic: plainText(200).min(1).meta({ example: 'navigation' }),
  message: plainText(65_536),
  level: plainText(20).nullish().meta({ example: 'info' }),
  timestamp: InstantInput.nullish(),
  event_id: EventId.optional(),
});
export type PushLogInput = z.infer<typeof PushLogInput>;
export const PushLogsInput = z.object({
  robot_id: RobotId,
  logs: z.array(z.unknown()).min(1).max(BATCH_LIMIT).meta({
    description:
      'Each {topic, message, level?, timestamp?, event_id?}; a bad one is rejected alone',
  }),
});
export const PushedLog = z.object({ status: z.literal('logged') });

export const LogEntry = z.object({
  id: z.int(),
  robot_id: RobotId,
  account_id: z.string(),
  topic: z.string().meta({ example: 'navigation' }),
  message: z.string(),
  level: z.string().nullable().meta({ example: 'info' }),
  timestamp: Instant.meta({ description: 'When the robot recorded it' }),
  received_at: Instant.meta({ description: 'When the server received it' }),
});
export type LogEntry = z.infer<typeof LogEntry>;

/** Which lines; each has to fit. */
export const LogFilter = z.object({
  topic: plainText(200).optional(),
  level: plainText(20).optional(),
});
export type LogFilter = z.infer<typeof LogFilter>;

export const LogsInput = LogFilter.extend({
  robot_id: RobotId,
  q: plainText(200).optional().meta({
    description: 'Text that the message holds, in upper or lower case',
  }),
  start: InstantInput.optional(),
  end: InstantInput.optional(),
  limit: z.int().min(1).max(1_000).default(100),
  before: z.int().min(1).optional().meta({
    description: 'The id of a log; the ones that come after it in this list. Not with `cursor`',
  }),
  cursor: z.string().max(64).optional().meta({ description: 'next_cursor of the page before' }),
});
export type LogsInput = z.infer<typeof LogsInput>;
export const Logs = z.object({
  robot_id: RobotId,
  count: z.int(),
  logs: z.array(LogEntry).meta({ description: 'Newest first' }),
  next_cursor: z.string().nullable().meta({
    description:
      'A search of many lines may come back early: with fewer than `limit`, or none, and a cursor',
  }),
});

export const LiveLogsInput = DurableInput.extend(LogFilter.shape);
/** One line as an event of the stream. */
export const LiveLog = LogEntry.extend({ type: z.literal('log') });
export type LiveLog = z.infer<typeof LiveLog>;
