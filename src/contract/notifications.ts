import { z } from 'zod';
import { Alert, Severity } from './alerts.js';
import { Instant, plainText } from './common.js';

export const ChannelKind = z.enum(['email', 'webhook']);
export type ChannelKind = z.infer<typeof ChannelKind>;
export const DeliveryState = z.enum(['pending', 'sending', 'delivered', 'dead']).meta({
  description:
    'pending: waits for its next attempt; sending: an attempt is under way; dead: given up, may be retried',
});
export type DeliveryState = z.infer<typeof DeliveryState>;

const ChannelId = plainText(64).min(1);
const DeliveryId = plainText(64).min(1);

const Name = plainText(100).min(1).meta({ example: 'night shift' });
const Target = plainText(2_048).min(1).meta({
  description: 'An address for `email`, an http(s) URL without credentials for `webhook`',
  example: 'https://hooks.example.com/fleet',
});
const MinSeverity = Severity.meta({ description: 'The least severe alerts that are told' });

export const NotificationChannel = z.object({
  id: z.string(),
  name: z.string(),
  kind: ChannelKind,
  target: z.string(),
  min_severity: Severity,
  enabled: z.boolean().meta({
    description: 'Switched off by its owner, or by a webhook that answered 410 Gone',
  }),
  created_at: Instant,
  updated_at: Instant,
});
export type NotificationChannel = z.infer<typeof NotificationChannel>;
export const ChannelList = z.object({ channels: z.array(NotificationChannel), count: z.int() });

/** The answer that shows the secret, this once. */
export const ChannelWithSecret = NotificationChannel.extend({
  secret: z.string().nullable().meta({
    description: 'What deliveries are signed with (Standard Webhooks); null for `email`',
    example: 'whsec_…',
  }),
});
export type ChannelWithSecret = z.infer<typeof ChannelWithSecret>;

export const CreateChannelInput = z.object({
  name: Name,
  kind: ChannelKind,
  target: Target,
  min_severity: MinSeverity.default('warning'),
  enabled: z.boolean().default(true),
});
export type CreateChannelInput = z.infer<typeof CreateChannelInput>;

export const ChannelInput = z.object({ channel_id: ChannelId });

export const UpdateChannelInput = ChannelInput.extend({
  name: Name.optional(),
  target: Target.optional(),
  min_severity: MinSeverity.optional(),
  enabled: z.boolean().optional(),
});
export type UpdateChannelInput = z.infer<typeof UpdateChannelInput>;

export const DeletedChannel = z.object({ message: z.string(), channel_id: z.string() });

/** What a webhook is sent, in the form of Standard Webhooks. */
export const AlertNotification = z.object({
  type: z.enum([
    'alert.opened',
    'alert.escalated',
    'alert.acknowledged',
    'alert.resolved',
    'notification.test',
  ]),
  timestamp: Instant.meta({ description: 'When it happened' }),
  data: z.object({
    channel: z.object({ id: z.string(), name: z.string() }),
    alert: Alert.nullable().meta({ description: 'Null in a test' }),
  }),
});
export type AlertNotification = z.infer<typeof AlertNotification>;

export const DeliveryChange = z.enum(['opened', 'escalated', 'acknowledged', 'resolved', 'test']);

export const NotificationDelivery = z.object({
  id: z.string().meta({ description: 'The same in every attempt: the header `webhook-id`' }),
  channel_id: z.string(),
  alert_id: z.string().nullable().meta({ description: 'Null for a test' }),
  change: DeliveryChange,
  state: DeliveryState,
  attempts: z.int().meta({ description: 'Attempts begun since it was queued or retried by hand' }),
  next_attempt_at: Instant.nullable().meta({ description: 'Null unless pending' }),
  last_error: z.string().nullable(),
  created_at: Instant,
  finished_at: Instant.nullable().meta({ description: 'When it was delivered or given up' }),
});
export type NotificationDelivery = z.infer<typeof NotificationDelivery>;
export const DeliveryInput = z.object({ delivery_id: DeliveryId });

export const DELIVERY_PAGE = 1_000;
export const DeliveriesInput = z.object({
  state: DeliveryState.optional(),
  channel_id: ChannelId.optional(),
  limit: z.int().min(1).max(DELIVERY_PAGE).default(100),
  cursor: z.string().max(100).optional(),
});
export type DeliveriesInput = z.infer<typeof DeliveriesInput>;
export const DeliveryList = z.object({
  deliveries: z.array(NotificationDelivery),
  count: z.int(),
  next_cursor: z.string().nullable(),
});
export type DeliveryList = z.infer<typeof DeliveryList>;
