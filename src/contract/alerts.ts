import { z } from 'zod';
import { InstantInput, RobotId } from './common.js';

export const Severity = z.enum(['info', 'warning', 'error', 'critical']);

export const SubmitAlertInput = z.object({
  robot_id: RobotId,
  alert_type: z.string().min(1).max(100).meta({ example: 'low_battery' }),
  severity: Severity,
  message: z.string().min(1).max(10_000),
  metadata: z.record(z.string(), z.unknown()).optional(),
  timestamp: InstantInput.optional(),
});
export type SubmitAlertInput = z.infer<typeof SubmitAlertInput>;
export const SubmittedAlert = z.object({
  message: z.string().meta({ example: 'Alert received and stored' }),
  alert_id: z.string(),
  robot_id: RobotId,
});
