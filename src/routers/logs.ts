import { PushedLog, PushLogInput } from '../contract/logs.js';
import { router, scoped } from './trpc.js';

export const logsRouter = router({
  push: scoped('logs:write')
    .input(PushLogInput)
    .output(PushedLog)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.logs.push(ctx.principal, input);
      return { status: 'logged' } as const;
    }),
});
