import {
  LiveMessagesInput,
  Messages,
  MessagesInput,
  PushedMessage,
  PushMessageInput,
} from '../contract/messages.js';
import { messageEntry } from '../services/messages.js';
import { durableResolver } from './live.js';
import { router, scoped } from './trpc.js';

export const messagesRouter = router({
  push: scoped('messages:write')
    .input(PushMessageInput)
    .output(PushedMessage)
    .mutation(({ ctx, input: { robot_id, ...message } }) =>
      ctx.services.messages.push(ctx.principal, robot_id, message),
    ),

  list: scoped('messages:read')
    .input(MessagesInput)
    .output(Messages)
    .query(async ({ ctx, input: { robot_id, ...query } }) => {
      const { rows, next_cursor } = await ctx.services.messages.page(
        ctx.principal,
        robot_id,
        query,
      );
      return { robot_id, count: rows.length, messages: rows.map(messageEntry), next_cursor };
    }),

  live: scoped('messages:read')
    .input(LiveMessagesInput)
    .subscription(
      durableResolver((ctx, reader, { schema_id }: LiveMessagesInput) =>
        ctx.services.messages.live(ctx.principal, reader, schema_id),
      ),
    ),
});
