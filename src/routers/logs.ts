import {
  LiveLogsInput,
  Logs,
  LogsInput,
  PushedLog,
  PushLogInput,
  PushLogsInput,
} from '../contract/logs.js';
import { PushedBatch } from '../contract/status.js';
import { logEntry } from '../services/telemetry-events.js';
import { durableResolver } from './live.js';
import { router, scoped } from './trpc.js';

export const logsRouter = router({
  push: scoped('logs:write')
    .input(PushLogInput)
    .output(PushedLog)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.logs.push(ctx.principal, input);
      return { status: 'logged' } as const;
    }),

  pushBatch: scoped('logs:write')
    .input(PushLogsInput)
    .output(PushedBatch)
    .mutation(({ ctx, input: { robot_id, logs } }) =>
      ctx.services.logs.pushBatch(ctx.principal, robot_id, logs),
    ),

  list: scoped('logs:read')
    .input(LogsInput)
    .output(Logs)
    .query(async ({ ctx, input }) => {
      const { rows, next_cursor } = await ctx.services.logs.page(ctx.principal, input);
      const { robot_id } = input;
      return { robot_id, count: rows.length, logs: rows.map(logEntry), next_cursor };
    }),

  live: scoped('logs:read')
    .input(LiveLogsInput)
    .subscription(
      durableResolver((ctx, reader, { topic, level }) =>
        ctx.services.logs.live(ctx.principal, reader, { topic, level }),
      ),
    ),
});
