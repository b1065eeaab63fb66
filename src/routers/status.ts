import { toInstant } from '../contract/common.js';
import { RobotInput } from '../contract/robots.js';
import {
  History,
  HistoryInput,
  LatestStatus,
  LiveStatusInput,
  PushBatchInput,
  PushedBatch,
  PushedStatus,
  PushStatusInput,
  Trajectory,
  TrajectoryInput,
} from '../contract/status.js';
import { historyEntry } from '../services/status-history.js';
import { batchSample, sampleOf } from '../services/status-sample.js';
import { liveResolver } from './live.js';
import { router, scoped } from './trpc.js';

export const statusRouter = router({
  push: scoped('status:write')
    .input(PushStatusInput)
    .output(PushedStatus)
    .mutation(({ ctx, input: { robot_id, status, ...sample } }) =>
      ctx.services.statuses.push(
        ctx.principal,
        robot_id,
        sampleOf({ status_json: JSON.stringify(status), ...sample }),
      ),
    ),

  pushBatch: scoped('status:write')
    .input(PushBatchInput)
    .output(PushedBatch)
    .mutation(({ ctx, input }) =>
      ctx.services.statuses.pushBatch(
        ctx.principal,
        input.robot_id,
        input.samples.map((item) => batchSample(item)),
      ),
    ),

  latest: scoped('status:read')
    .input(RobotInput)
    .output(LatestStatus)
    .query(async ({ ctx, input: { robot_id } }) => {
      const latest = await ctx.services.statuses.latest(ctx.principal, robot_id);
      if (!latest) return { message: 'No status available', status: null };
      return {
        robot_id,
        status: JSON.parse(latest.status_json),
        timestamp: toInstant(latest.timestamp),
        received_at: toInstant(latest.received_at),
      };
    }),

  history: scoped('status:read')
    .input(HistoryInput)
    .output(History)
    .query(async ({ ctx, input: { robot_id, ...query } }) => {
      const { rows, next_cursor } = await ctx.services.history.page(ctx.principal, robot_id, query);
      return { robot_id, count: rows.length, history: rows.map(historyEntry), next_cursor };
    }),

  trajectory: scoped('status:read')
    .input(TrajectoryInput)
    .output(Trajectory)
    .query(async ({ ctx, input: { robot_id, max_points, ...range } }) => {
      const pages = await ctx.services.history.trajectoryJson(
        ctx.principal,
        robot_id,
        range,
        max_points,
      );
      const path = [];
      for await (const { elements } of pages) path.push(...JSON.parse(`[${elements}]`));
      return { robot_id, count: path.length, path };
    }),

  live: scoped('status:read')
    .input(LiveStatusInput)
    .subscription(liveResolver((ctx, reader) => ctx.services.statuses.live(ctx.principal, reader))),
});
