import {
  AlertRule,
  AlertRuleInput,
  AlertRuleList,
  CreateAlertRuleInput,
  DeletedAlertRule,
  UpdateAlertRuleInput,
} from '../contract/alert-rules.js';
import { toInstant } from '../contract/common.js';
import type { AlertRuleRow } from '../db/repositories/alert-rules.js';
import { router, scoped } from './trpc.js';

export const alertRulesRouter = router({
  list: scoped('alerts:read')
    .output(AlertRuleList)
    .query(async ({ ctx }) => {
      const rules = await ctx.services.alertRules.list(ctx.principal);
      return { rules: rules.map(onWire), count: rules.length };
    }),

  create: scoped('alerts:manage', { audit: 'rule.create' })
    .input(CreateAlertRuleInput)
    .output(AlertRule)
    .mutation(async ({ ctx, input }) =>
      onWire(await ctx.services.alertRules.create(ctx.principal, input)),
    ),

  get: scoped('alerts:read')
    .input(AlertRuleInput)
    .output(AlertRule)
    .query(async ({ ctx, input }) =>
      onWire(await ctx.services.alertRules.get(ctx.principal, input.rule_id)),
    ),

  update: scoped('alerts:manage', { audit: 'rule.update' })
    .input(UpdateAlertRuleInput)
    .output(AlertRule)
    .mutation(async ({ ctx, input }) =>
      onWire(await ctx.services.alertRules.update(ctx.principal, input)),
    ),

  delete: scoped('alerts:manage', { audit: 'rule.delete' })
    .input(AlertRuleInput)
    .output(DeletedAlertRule)
    .mutation(async ({ ctx, input: { rule_id } }) => {
      await ctx.services.alertRules.delete(ctx.principal, rule_id);
      return { message: 'Alert rule deleted', rule_id };
    }),
});

function onWire({ account_id: _, for_ms, enabled, ...rule }: AlertRuleRow): AlertRule {
  return {
    ...rule,
    for_seconds: for_ms / 1_000,
    enabled: enabled === 1,
    created_at: toInstant(rule.created_at),
    updated_at: toInstant(rule.updated_at),
  };
}
