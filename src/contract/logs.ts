import { z } from 'zod';
import { InstantInput, RobotId } from './common.js';
import { EventId } from './status.js';

export const PushLogInput = z.object({
  robot_id: RobotId,
  topic: z.string().min(1).max(200).meta({ example: 'navigation' }),
  message: z.string().max(65_536),
  level: z.string().max(20).optional().meta({ example: 'info' }),
  timestamp: InstantInput.optional(),
  event_id: EventId.optional(),
});
export type PushLogInput = z.infer<typeof PushLogInput>;
export const PushedLog = z.object({ status: z.literal('logged') });
