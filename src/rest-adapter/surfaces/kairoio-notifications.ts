import { z } from 'zod';
import {
  CreateChannelInput,
  DELIVERY_PAGE,
  DeliveryState,
  UpdateChannelInput,
} from '../../contract/notifications.js';
import { type Row, row } from '../define.js';

const TAG = 'Notifications';
const CHANNELS = '/api/v1/notification-channels';
const CHANNEL = `${CHANNELS}/{channelId}`;
const DELIVERIES = '/api/v1/notification-deliveries';
const ChannelParams = z.object({ channelId: z.string().min(1).max(64) });
const DeliveryParams = z.object({ deliveryId: z.string().min(1).max(64) });

/** Where an account is told of its alerts, and how that went. */
export const NOTIFICATIONS: readonly Row[] = [
  row('GET', CHANNELS, 'notifications.list', { summary: 'List notification channels', tag: TAG }),
  row('POST', CHANNELS, 'notifications.create', {
    summary: 'Be told of alerts by mail or webhook; the secret is in this answer alone',
    tag: TAG,
    body: CreateChannelInput,
    missing: 'name, kind and target are required',
  }),
  row('GET', CHANNEL, 'notifications.get', {
    summary: 'Get a notification channel',
    tag: TAG,
    params: ChannelParams,
  }),
  row('PUT', CHANNEL, 'notifications.update', {
    summary: 'Change a channel; what is left out stays as it is',
    tag: TAG,
    params: ChannelParams,
    body: UpdateChannelInput.omit({ channel_id: true }),
  }),
  row('DELETE', CHANNEL, 'notifications.delete', {
    summary: 'Delete a channel with its deliveries',
    tag: TAG,
    params: ChannelParams,
  }),
  row('POST', `${CHANNEL}/rotate-secret`, 'notifications.rotateSecret', {
    summary: 'Replace the secret that deliveries are signed with; it is in this answer alone',
    tag: TAG,
    params: ChannelParams,
  }),
  row('POST', `${CHANNEL}/test`, 'notifications.test', {
    summary: 'Send a test, once, and say how that went',
    tag: TAG,
    params: ChannelParams,
  }),
  row('GET', DELIVERIES, 'notifications.deliveries', {
    summary: 'List deliveries, newest first; `state=dead` are those that were given up',
    tag: TAG,
    query: z.object({
      state: DeliveryState.optional(),
      channel_id: z.string().min(1).max(64).optional(),
      limit: z.coerce.number().int().min(1).max(DELIVERY_PAGE).optional(),
      cursor: z.string().max(100).optional(),
    }),
  }),
  row('POST', `${DELIVERIES}/{deliveryId}/retry`, 'notifications.retry', {
    summary: 'Make a dead or waiting delivery again at once',
    tag: TAG,
    params: DeliveryParams,
  }),
];
