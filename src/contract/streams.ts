import { z } from 'zod';
import { RobotId } from './common.js';

/**
 * What a durable stream says of itself. `start` comes first when no cursor was given, and holds the one to resume from
 * before anything has happened; `reset` comes first when events after the given cursor have been deleted since.
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
