import { Health, PublicConfig, Version } from '../contract/system.js';
import { publicProcedure, router } from './trpc.js';

export const systemRouter = router({
  health: publicProcedure.output(Health).query(({ ctx }) => ctx.services.system.health()),
  version: publicProcedure.output(Version).query(({ ctx }) => ctx.services.system.version()),
  config: publicProcedure.output(PublicConfig).query(({ ctx }) => ctx.services.system.config()),
});
