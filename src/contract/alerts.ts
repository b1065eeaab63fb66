import { z } from 'zod';
import { Instant, InstantInput, isShallow, plainText, RobotId, TOO_DEEP } from './common.js';

/** From the least to the most severe. */
export const SEVERITIES = ['info', 'warning', 'error', 'critical'] as const;
export const Severity = z.enum(SEVERITIES, {
  error: ({ input }) =>
    input === undefined ? 'Invalid input: expected string, received undefined' : undefined,
});
export type Severity = z.infer<typeof Severity>;

export const AlertStatus = z.enum(['active', 'acknowledged', 'resolved']);
export type AlertStatus = z.infer<typeof AlertStatus>;
export const AlertType = plainText(100).min(1).meta({ example: 'low_battery' });
export const AlertId = plainText(64).min(1);

/** What the dedup keys of rules begin with; a robot's own must not. */
export const RULE_KEY = 'rule:';
/** What one list may hold of them is a thousand times as much. */
const METADATA_LIMIT_CHARACTERS = 16_384;

const Metadata = z
  .record(z.string(), z.unknown())
  .refine(isShallow, { error: TOO_DEEP, abort: true })
  .refine((metadata) => JSON.stringify(metadata).length <= METADATA_LIMIT_CHARACTERS, {
    error: `must be at most ${METADATA_LIMIT_CHARACTERS} characters of JSON`,
  });

export const SubmitAlertInput = z.object({
  robot_id: RobotId,
  alert_type: AlertType,
  severity: Severity,
  message: plainText(10_000).min(1),
  metadata: Metadata.nullish(),
  timestamp: InstantInput.nullish(),
  dedup_key: plainText(200)
    .min(1)
    .refine((key) => !key.startsWith(RULE_KEY), { error: `must not begin with ${RULE_KEY}` })
    .optional()
    .meta({
      description:
        'While an alert of this robot with the same key is open, this one raises its count, and its severity if that is higher, instead of opening another',
      example: 'battery',
    }),
});
export type SubmitAlertInput = z.infer<typeof SubmitAlertInput>;
export const SubmittedAlert = z.object({
  message: z.string().meta({ example: 'Alert received and stored' }),
  alert_id: z.string(),
  robot_id: RobotId,
});

/** What is stored is described, not judged: a database that was adopted may hold what would be refused today. */
export const Alert = z
  .object({
    id: z.string(),
    robot_id: z.string().meta({ example: 'robot_001' }),
    account_id: z.string(),
    alert_type: z.string().meta({ example: 'low_battery' }),
    severity: z.string().meta({ example: 'warning' }),
    message: z.string(),
    metadata: z.unknown().meta({ description: 'As it was submitted; null when there is none' }),
    status: z.string().meta({ example: 'active' }),
    count: z.int().meta({ description: 'How often it was raised while it was open' }),
    dedup_key: z.string().nullable(),
    rule_id: z.string().nullable().meta({ description: 'The rule that raised it, if one did' }),
    created_at: Instant,
    last_seen_at: Instant.meta({ description: 'When it was raised last' }),
    acknowledged_at: Instant.nullable(),
    acknowledged_by: z.string().nullable().meta({ description: 'The account' }),
    resolved_at: Instant.nullable(),
    resolved_by: z.string().nullable().meta({ description: 'The account, or `rule`' }),
  })
  .meta({ id: 'Alert' });
export type Alert = z.infer<typeof Alert>;

export const LIST_ALERTS_LIMIT = 1_000;
export const ListAlertsInput = z.object({
  robot_id: RobotId.optional(),
  status: AlertStatus.optional(),
  severity: Severity.optional(),
  alert_type: AlertType.optional(),
  limit: z.int().min(1).max(LIST_ALERTS_LIMIT).default(100),
  cursor: z.string().max(128).optional().meta({ description: 'The `next_cursor` of a page' }),
});
export type ListAlertsInput = z.infer<typeof ListAlertsInput>;
export const AlertList = z.object({
  alerts: z.array(Alert).meta({ description: 'Newest first' }),
  count: z.int(),
  next_cursor: z.string().nullable(),
});

export const AlertInput = z.object({ alert_id: AlertId });
export const AcknowledgedAlert = z.object({
  alert_id: z.string(),
  status: z.literal('acknowledged'),
  acknowledged_at: Instant,
});
export const ResolvedAlert = z.object({
  alert_id: z.string(),
  status: z.literal('resolved'),
  resolved_at: Instant,
});

export const AlertChange = z
  .enum(['opened', 'repeated', 'escalated', 'acknowledged', 'resolved'])
  .meta({ description: '`escalated`: a repeat that is more severe than what was known' });
export type AlertChange = z.infer<typeof AlertChange>;
/** What watchers of alerts are told: what happened, and the alert as it is since. */
export const AlertEvent = Alert.extend({ type: z.literal('alert'), change: AlertChange });
export type AlertEvent = z.infer<typeof AlertEvent>;
