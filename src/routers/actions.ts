import {
  Action,
  ActionInput,
  ActionList,
  CreateActionInput,
  DeletedAction,
  UpdateActionInput,
} from '../contract/actions.js';
import { router, scoped } from './trpc.js';

export const actionsRouter = router({
  list: scoped('commands:read')
    .output(ActionList)
    .query(async ({ ctx }) => {
      const actions = await ctx.services.actions.own(ctx.principal);
      return { actions, count: actions.length };
    }),

  all: scoped('commands:read')
    .output(ActionList)
    .query(async ({ ctx }) => {
      const actions = await ctx.services.actions.all(ctx.principal);
      return { actions, count: actions.length };
    }),

  get: scoped('commands:read')
    .input(ActionInput)
    .output(Action)
    .query(({ ctx, input }) => ctx.services.actions.get(ctx.principal, input.action_id)),

  create: scoped('actions:write', { audit: 'action.create' })
    .input(CreateActionInput)
    .output(Action)
    .mutation(({ ctx, input }) => ctx.services.actions.create(ctx.principal, input)),

  update: scoped('actions:write', { audit: 'action.update' })
    .input(UpdateActionInput)
    .output(Action)
    .mutation(({ ctx, input }) => ctx.services.actions.update(ctx.principal, input)),

  delete: scoped('actions:write', { audit: 'action.delete' })
    .input(ActionInput)
    .output(DeletedAction)
    .mutation(async ({ ctx, input: { action_id } }) => {
      await ctx.services.actions.delete(ctx.principal, action_id);
      return { message: 'Action deleted successfully', action_id };
    }),
});
