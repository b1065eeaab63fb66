import { z } from 'zod';
import { InstantInput, plainText, RobotId } from './common.js';
import { EventId } from './status.js';

export const PushLogInput = z.object({
  robot_id: RobotId,
  topic: plainText(200).min(1).meta({ example: 'navigation' }),
  message: plainText(65_536),
  level: plainText(20).optional().meta({ example: 'info' }),
  timestamp: InstantInput.optional(),
  event_id: EventId.optional(),
});
export type PushLogInput = z.infer<typeof PushLogInput>;
export const PushedLog = z.object({ status: z.literal('logged') });
