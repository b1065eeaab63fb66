import {
  AcknowledgedAlert,
  Alert,
  AlertInput,
  AlertList,
  ListAlertsInput,
  ResolvedAlert,
  SubmitAlertInput,
  SubmittedAlert,
} from '../contract/alerts.js';
import { toInstant } from '../contract/common.js';
import { DurableInput } from '../contract/streams.js';
import { alertOnWire } from '../services/alert-ledger.js';
import { durableResolver } from './live.js';
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

  list: scoped('alerts:read')
    .input(ListAlertsInput)
    .output(AlertList)
    .query(async ({ ctx, input }) => {
      const { alerts, next_cursor } = await ctx.services.alerts.list(ctx.principal, input);
      return { alerts: alerts.map(alertOnWire), count: alerts.length, next_cursor };
    }),

  get: scoped('alerts:read')
    .input(AlertInput)
    .output(Alert)
    .query(async ({ ctx, input }) =>
      alertOnWire(await ctx.services.alerts.get(ctx.principal, input.alert_id)),
    ),

  acknowledge: scoped('alerts:manage', { audit: 'alert.acknowledge' })
    .input(AlertInput)
    .output(AcknowledgedAlert)
    .mutation(async ({ ctx, input: { alert_id } }) => {
      const alert = await ctx.services.alerts.acknowledge(ctx.principal, alert_id);
      ctx.noteRobot(alert.robot_id);
      const acknowledged_at = toInstant(alert.acknowledged_at ?? alert.created_at);
      return { alert_id, status: 'acknowledged', acknowledged_at };
    }),

  resolve: scoped('alerts:manage', { audit: 'alert.resolve' })
    .input(AlertInput)
    .output(ResolvedAlert)
    .mutation(async ({ ctx, input: { alert_id } }) => {
      const alert = await ctx.services.alerts.resolve(ctx.principal, alert_id);
      ctx.noteRobot(alert.robot_id);
      const resolved_at = toInstant(alert.resolved_at ?? alert.created_at);
      return { alert_id, status: 'resolved', resolved_at };
    }),

  live: scoped('alerts:read')
    .input(DurableInput)
    .subscription(
      durableResolver((ctx, reader) => ctx.services.alerts.live(ctx.principal, reader)),
    ),
});
