import { z } from 'zod';
import {
  compileExpression,
  EXPRESSION_LIMIT_CHARACTERS,
  ExpressionError,
} from '../lib/expression.js';
import { Severity } from './alerts.js';
import { Instant, plainText, RobotId } from './common.js';

/** What a condition may look at beside the status; in a status that has members of these names, `$.` finds them. */
export const RULE_VARIABLES = ['presence'] as const;

const LANGUAGE =
  'Over the members of the status: `battery_level < 20 and not charging`, `motors[0].temperature >= 80`, ' +
  '`$["own key"] == "x"`; `presence` is online, stale or offline. A value that is missing makes nothing true, ' +
  'nor its opposite';
const Condition = plainText(EXPRESSION_LIMIT_CHARACTERS)
  .min(1)
  .superRefine((text, ctx) => {
    try {
      compileExpression(text, RULE_VARIABLES);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      ctx.addIssue({ code: 'custom', message: error.message });
    }
  });
const fields = {
  name: plainText(100).min(1).meta({ example: 'Low battery' }),
  robot_id: RobotId.nullable().meta({
    description: 'The robot it is about; null for every robot of the account',
  }),
  condition: Condition.meta({ description: LANGUAGE, example: 'battery_level < 20' }),
  clear_condition: Condition.nullable().meta({
    description:
      'What resolves the alert again; null for the opposite of the condition. While the condition holds, it is not asked',
    example: 'battery_level > 25',
  }),
  severity: Severity.meta({ example: 'warning' }),
  for_seconds: z.number().min(0).max(86_400).meta({
    description:
      "How long the condition must hold before the alert opens, by the time of the robot's samples, or by the server's if it looks at `presence`",
  }),
  cooldown_minutes: z.number().min(0).max(10_080).meta({
    description:
      'The least time from one alert of the rule for a robot to the next, whoever resolved the first',
  }),
  enabled: z.boolean().meta({ description: 'Switching a rule off resolves its open alerts' }),
};

/** What is stored is described, not judged: a database that was adopted may hold what would be refused today. */
export const AlertRule = z
  .object({
    id: z.string(),
    name: z.string(),
    robot_id: z.string().nullable(),
    condition: z.string().meta({ example: 'battery_level < 20' }),
    clear_condition: z.string().nullable().meta({ example: 'battery_level > 25' }),
    severity: z.string().meta({ example: 'warning' }),
    for_seconds: z.number(),
    cooldown_minutes: z.number(),
    enabled: z.boolean(),
    created_at: Instant,
    updated_at: Instant,
  })
  .meta({ id: 'AlertRule' });
export type AlertRule = z.infer<typeof AlertRule>;
export const AlertRuleList = z.object({ rules: z.array(AlertRule), count: z.int() });

export const AlertRuleId = plainText(64).min(1);
export const AlertRuleInput = z.object({ rule_id: AlertRuleId });
export const CreateAlertRuleInput = z.object({
  ...fields,
  robot_id: fields.robot_id.default(null),
  clear_condition: fields.clear_condition.default(null),
  for_seconds: fields.for_seconds.default(0),
  cooldown_minutes: fields.cooldown_minutes.default(5),
  enabled: fields.enabled.default(true),
});
export type CreateAlertRuleInput = z.output<typeof CreateAlertRuleInput>;
/** What is left out stays as it is. */
export const UpdateAlertRuleInput = z.object({ rule_id: AlertRuleId, ...fields }).partial({
  name: true,
  robot_id: true,
  condition: true,
  clear_condition: true,
  severity: true,
  for_seconds: true,
  cooldown_minutes: true,
  enabled: true,
});
export type UpdateAlertRuleInput = z.output<typeof UpdateAlertRuleInput>;
export const DeletedAlertRule = z.object({
  message: z.string().meta({ example: 'Alert rule deleted' }),
  rule_id: z.string(),
});
