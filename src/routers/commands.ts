import {
  AckCommandInput,
  ClearedFleet,
  ClearedRobot,
  Command,
  CommandInput,
  CommandList,
  ListCommandsInput,
  NextCommand,
  NextCommandInput,
  SendCommandInput,
  SentCommand,
  StopFleetInput,
  StopInput,
  StoppedFleet,
  StoppedRobot,
} from '../contract/commands.js';
import { RobotInput } from '../contract/robots.js';
import { DurableInput } from '../contract/streams.js';
import { durableResolver, liveResolver } from './live.js';
import { router, scoped } from './trpc.js';

export const commandsRouter = router({
  send: scoped('commands:send', { audit: 'command.send' })
    .input(SendCommandInput)
    .output(SentCommand)
    .mutation(({ ctx, input }) => ctx.services.commands.send(ctx.principal, input)),

  list: scoped('commands:read')
    .input(ListCommandsInput)
    .output(CommandList)
    .query(async ({ ctx, input }) => {
      const page = await ctx.services.commands.list(ctx.principal, input);
      return { robot_id: input.robot_id ?? null, count: page.commands.length, ...page };
    }),

  get: scoped('commands:read')
    .input(CommandInput)
    .output(Command)
    .query(({ ctx, input }) => ctx.services.commands.get(ctx.principal, input)),

  cancel: scoped('commands:send', { audit: 'command.cancel' })
    .input(CommandInput)
    .output(Command)
    .mutation(({ ctx, input }) => ctx.services.commands.cancel(ctx.principal, input)),

  ack: scoped('commands:receive')
    .input(AckCommandInput)
    .output(Command)
    .mutation(({ ctx, input }) => ctx.services.commands.ack(ctx.principal, input)),

  next: scoped('commands:receive')
    .input(NextCommandInput)
    .output(NextCommand)
    .query(async ({ ctx, input: { robot_id, wait }, signal }) => ({
      command: await ctx.services.commands.next(ctx.principal, robot_id, wait * 1_000, signal),
    })),

  receive: scoped('commands:receive')
    .input(RobotInput)
    .subscription(
      liveResolver((ctx, reader, { robot_id }: RobotInput) =>
        ctx.services.commands.receive(ctx.principal, robot_id, reader),
      ),
    ),

  live: scoped('commands:read')
    .input(DurableInput)
    .subscription(
      durableResolver((ctx, reader) => ctx.services.commands.live(ctx.principal, reader)),
    ),

  stop: scoped('commands:send', { audit: 'robot.stop' })
    .input(StopInput)
    .output(StoppedRobot)
    .mutation(({ ctx, input: { robot_id, reason } }) =>
      ctx.services.commands.hold(ctx.principal, robot_id, reason),
    ),

  clearStop: scoped('commands:send', { audit: 'robot.clear_stop' })
    .input(RobotInput)
    .output(ClearedRobot)
    .mutation(({ ctx, input }) => ctx.services.commands.clear(ctx.principal, input.robot_id)),

  stopFleet: scoped('commands:send', { audit: 'fleet.stop' })
    .input(StopFleetInput)
    .output(StoppedFleet)
    .mutation(async ({ ctx, input }) => {
      const robots = await ctx.services.commands.holdFleet(ctx.principal, input?.reason);
      return { robots, count: robots.length };
    }),

  clearFleetStop: scoped('commands:send', { audit: 'fleet.clear_stop' })
    .output(ClearedFleet)
    .mutation(async ({ ctx }) => {
      const robots = await ctx.services.commands.clearFleet(ctx.principal);
      return { robots, count: robots.length };
    }),
});
