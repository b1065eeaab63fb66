import { AuditList, AuditQuery } from '../contract/audit.js';
import { router, scoped } from './trpc.js';

export const auditRouter = router({
  list: scoped('audit:read')
    .input(AuditQuery.prefault({}))
    .output(AuditList)
    .query(async ({ ctx, input }) => {
      const { entries, next_cursor } = await ctx.services.audit.list(ctx.principal, input);
      return { entries, count: entries.length, next_cursor };
    }),
});
