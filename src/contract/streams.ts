import { z } from 'zod';
import { RobotId } from './common.js';

/**
 * What a durable stream says of itself. `start` comes first, and holds the cursor to resume from before anything has
 * happened; `reset` comes in its place, or later, when events after the reader's cursor have been deleted.
 */
export const StreamStart = z.discriminatedUnion('type', [
  z.object({ type: z.literal('start'), cursor: z.string() }),
  z.object({
    type: z.literal('reset'),
    begins_after: z.string().meta({ description: 'Of the events up to this cursor some are gone' }),
  }),
]);
export type StreamStart = z.infer<typeof StreamStart>;

/** The input of every durable subscription. */
export const DurableInput = z.object({
  robot_ids: z.array(RobotId).max(1_000).optional().meta({
    description: 'The robots to watch; all of the account by default',
  }),
  lastEventId: z.string().max(32).nullish().meta({
    description: 'The cursor to go on after. tRPC sets it on a reconnect, under its own name',
  }),
});
export type DurableInput = z.infer<typeof DurableInput>;

export const StreamTicket = z.object({
  ticket: z.string().meta({
    description: 'Opens one stream as `?ticket=`, with the rights of the credential that asked',
    example: 'fwt_…',
  }),
  expires_in_seconds: z.int().meta({ example: 60 }),
});
