import {
  DeletedRobot,
  DeleteRobotInput,
  PresenceInput,
  RegisteredRobot,
  RegisterRobotInput,
  Robot,
  RobotInput,
  RobotList,
  UpdateRobotInput,
} from '../contract/robots.js';
import { liveResolver } from './live.js';
import { router, scoped } from './trpc.js';

export const robotsRouter = router({
  register: scoped('robots:write', { audit: 'robot.register' })
    .input(RegisterRobotInput)
    .output(RegisteredRobot)
    .mutation(({ ctx, input }) => ctx.services.robots.register(ctx.principal, input)),

  list: scoped('robots:read')
    .output(RobotList)
    .query(({ ctx }) => {
      const robots = ctx.services.robots.list(ctx.principal);
      return { robots, count: robots.length };
    }),

  get: scoped('robots:read')
    .input(RobotInput)
    .output(Robot)
    .query(({ ctx, input }) => ctx.services.robots.get(ctx.principal, input.robot_id)),

  update: scoped('robots:write', { audit: 'robot.update' })
    .input(UpdateRobotInput)
    .output(Robot)
    .mutation(({ ctx, input }) => ctx.services.robots.update(ctx.principal, input)),

  delete: scoped('robots:write', { audit: 'robot.delete' })
    .input(DeleteRobotInput)
    .output(DeletedRobot)
    .mutation(async ({ ctx, input: { robot_id, confirm } }) => {
      await ctx.services.robots.delete(ctx.principal, robot_id, confirm);
      return { message: 'Robot deleted successfully', robot_id };
    }),

  presence: scoped('robots:read')
    .input(PresenceInput)
    .subscription(
      liveResolver((ctx, reader) => ctx.services.presences.live(ctx.principal, reader)),
    ),
});
