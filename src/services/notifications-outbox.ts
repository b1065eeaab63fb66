import { SEVERITIES } from '../contract/alerts.js';
import { toInstant } from '../contract/common.js';
import type { AlertNotification } from '../contract/notifications.js';
import type { Handle } from '../db/client.js';
import type { AlertRow } from '../db/repositories/alerts.js';
import { type ChannelRow, openChannels } from '../db/repositories/notification-channels.js';
import {
  countOpenDeliveries,
  type DeliveryRow,
  insertDeliveries,
} from '../db/repositories/notification-deliveries.js';
import type { Clock } from '../lib/clock.js';
import { createOrderedIds } from '../lib/ordered-id.js';
import { type AlertObserver, alertOnWire } from './alert-ledger.js';

/** Deliveries of one channel that may wait; one more is dead from the start, for everybody to see. */
export const OPEN_PER_CHANNEL = 1_000;
const PAYLOAD_LIMIT_CHARACTERS = 65_536;
const FULL = `Not queued: ${OPEN_PER_CHANNEL} deliveries of this channel were waiting`;

/** Where deliveries are put, in the transaction of what they tell of. */
export interface Outbox extends AlertObserver {
  /** Adds a test of the channel and returns its id. */
  addTest(tx: Handle, channel: ChannelRow): Promise<string>;
}

export interface OutboxDeps {
  clock: Clock;
  /** Called after the commit of new deliveries. */
  onAdded: () => void;
}

export function createOutbox({ clock, onAdded }: OutboxDeps): Outbox {
  const nextId = createOrderedIds(clock);

  function newRow(
    channel: ChannelRow,
    change: DeliveryRow['change'],
    now: number,
    alert: AlertRow | null,
  ): DeliveryRow {
    return {
      id: nextId(),
      account_id: channel.account_id,
      channel_id: channel.id,
      alert_id: alert?.id ?? '',
      change,
      payload: payloadOf(channel, change, now, alert),
      state: 'pending',
      attempts: 0,
      next_attempt_at: now,
      last_error: null,
      created_at: now,
      finished_at: null,
    };
  }

  return {
    async onChange(tx, alert, change) {
      const channels = await openChannels(tx, alert.account_id);
      const now = clock.now();
      const rows: DeliveryRow[] = [];
      for (const channel of channels) {
        if (rankOf(alert.severity) < rankOf(channel.min_severity)) continue;
        const row = newRow(channel, change, now, alert);
        const open = await countOpenDeliveries(tx, channel.id, OPEN_PER_CHANNEL);
        const isFull = open >= OPEN_PER_CHANNEL;
        rows.push(isFull ? { ...row, state: 'dead', last_error: FULL, finished_at: now } : row);
      }
      await insertDeliveries(tx, rows);
    },
    onCommitted: onAdded,
    async addTest(tx, channel) {
      const row = newRow(channel, 'test', clock.now(), null);
      await insertDeliveries(tx, [row]);
      return row.id;
    },
  };
}

function rankOf(severity: string): number {
  return (SEVERITIES as readonly string[]).indexOf(severity);
}

function payloadOf(
  { id, name }: ChannelRow,
  change: string,
  now: number,
  alert: AlertRow | null,
): string {
  const notification = {
    type: alert ? `alert.${change}` : 'notification.test',
    timestamp: toInstant(now),
    data: { channel: { id, name }, alert: alert && alertOnWire(alert) },
  } as AlertNotification;
  const payload = JSON.stringify(notification);
  if (payload.length <= PAYLOAD_LIMIT_CHARACTERS || !notification.data.alert) return payload;
  // Only an adopted database holds one as large as that.
  const { message } = notification.data.alert;
  notification.data.alert.message = message.slice(0, PAYLOAD_LIMIT_CHARACTERS / 8);
  notification.data.alert.metadata = null;
  return JSON.stringify(notification);
}
