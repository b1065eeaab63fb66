import { SubmitAlertInput, SubmittedAlert } from '../contract/alerts.js';
import { router, scoped } from './trpc.js';

export const alertsRouter = router({
  submit: scoped('alerts:write')
    .input(SubmitAlertInput)
    .output(SubmittedAlert)
    .mutation(async ({ ctx, input }) => ({
      message: 'Alert received and stored',
      alert_id: await ctx.services.alerts.submit(ctx.principal, input),
      robot_id: input.robot_id,
    })),
});
