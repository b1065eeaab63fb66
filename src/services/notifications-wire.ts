import { Severity } from '../contract/alerts.js';
import { toInstant } from '../contract/common.js';
import {
  ChannelKind,
  type ChannelWithSecret,
  DeliveryChange,
  DeliveryState,
  type NotificationChannel,
  type NotificationDelivery,
} from '../contract/notifications.js';
import type { ChannelRow } from '../db/repositories/notification-channels.js';
import type { DeliveryRow } from '../db/repositories/notification-deliveries.js';

/** A stored channel in the shape of every wire, without its secret. */
export function channelOnWire(row: ChannelRow): NotificationChannel {
  return {
    id: row.id,
    name: row.name,
    kind: ChannelKind.parse(row.kind),
    target: row.target,
    min_severity: Severity.parse(row.min_severity),
    enabled: row.enabled === 1,
    created_at: toInstant(row.created_at),
    updated_at: toInstant(row.updated_at),
  };
}

export function channelWithSecret(row: ChannelRow): ChannelWithSecret {
  return { ...channelOnWire(row), secret: row.secret };
}

/** A stored delivery in the shape of every wire. */
export function deliveryOnWire(row: DeliveryRow): NotificationDelivery {
  const { alert_id, state, next_attempt_at, finished_at } = row;
  return {
    id: row.id,
    channel_id: row.channel_id,
    alert_id: alert_id === '' ? null : alert_id,
    change: DeliveryChange.parse(row.change),
    state: DeliveryState.parse(state),
    attempts: row.attempts,
    next_attempt_at: state === 'pending' ? toInstant(next_attempt_at) : null,
    last_error: row.last_error,
    created_at: toInstant(row.created_at),
    finished_at: finished_at === null ? null : toInstant(finished_at),
  };
}
