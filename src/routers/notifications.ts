import {
  ChannelInput,
  ChannelList,
  ChannelWithSecret,
  CreateChannelInput,
  DeletedChannel,
  DeliveriesInput,
  DeliveryInput,
  DeliveryList,
  NotificationChannel,
  NotificationDelivery,
  UpdateChannelInput,
} from '../contract/notifications.js';
import { router, scoped } from './trpc.js';

export const notificationsRouter = router({
  create: scoped('alerts:manage', { audit: 'channel.create' })
    .input(CreateChannelInput)
    .output(ChannelWithSecret)
    .mutation(({ ctx, input }) => ctx.services.notifications.create(ctx.principal, input)),

  list: scoped('alerts:read')
    .output(ChannelList)
    .query(async ({ ctx }) => {
      const channels = await ctx.services.notifications.list(ctx.principal);
      return { channels, count: channels.length };
    }),

  get: scoped('alerts:read')
    .input(ChannelInput)
    .output(NotificationChannel)
    .query(({ ctx, input }) => ctx.services.notifications.get(ctx.principal, input.channel_id)),

  update: scoped('alerts:manage', { audit: 'channel.update' })
    .input(UpdateChannelInput)
    .output(NotificationChannel)
    .mutation(({ ctx, input }) => ctx.services.notifications.update(ctx.principal, input)),

  delete: scoped('alerts:manage', { audit: 'channel.delete' })
    .input(ChannelInput)
    .output(DeletedChannel)
    .mutation(async ({ ctx, input: { channel_id } }) => {
      await ctx.services.notifications.delete(ctx.principal, channel_id);
      return { message: 'Notification channel deleted successfully', channel_id };
    }),

  rotateSecret: scoped('alerts:manage', { audit: 'channel.rotate_secret' })
    .input(ChannelInput)
    .output(ChannelWithSecret)
    .mutation(({ ctx, input }) =>
      ctx.services.notifications.rotateSecret(ctx.principal, input.channel_id),
    ),

  test: scoped('alerts:manage', { audit: 'channel.test' })
    .input(ChannelInput)
    .output(NotificationDelivery)
    .mutation(({ ctx, input }) => ctx.services.notifications.test(ctx.principal, input.channel_id)),

  deliveries: scoped('alerts:read')
    .input(DeliveriesInput)
    .output(DeliveryList)
    .query(({ ctx, input }) => ctx.services.notifications.deliveries(ctx.principal, input)),

  retry: scoped('alerts:manage', { audit: 'delivery.retry' })
    .input(DeliveryInput)
    .output(NotificationDelivery)
    .mutation(({ ctx, input }) =>
      ctx.services.notifications.retry(ctx.principal, input.delivery_id),
    ),
});
