import { z } from 'zod';
import { InstantInput, isShallow, plainText, RobotId, TOO_DEEP } from './common.js';

const SEVERITIES = ['info', 'warning', 'error', 'critical'] as const;
export const Severity = z.enum(SEVERITIES, {
  error: ({ input }) =>
    input === undefined ? 'Invalid input: expected string, received undefined' : undefined,
});

export const SubmitAlertInput = z.object({
  robot_id: RobotId,
  alert_type: plainText(100).min(1).meta({ example: 'low_battery' }),
  severity: Severity,
  message: plainText(10_000).min(1),
  metadata: z.record(z.string(), z.unknown()).refine(isShallow, TOO_DEEP).optional(),
  timestamp: InstantInput.optional(),
});
export type SubmitAlertInput = z.infer<typeof SubmitAlertInput>;
export const SubmittedAlert = z.object({
  message: z.string().meta({ example: 'Alert received and stored' }),
  alert_id: z.string(),
  robot_id: RobotId,
});
