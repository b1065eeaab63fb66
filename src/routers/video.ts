import { toInstant } from '../contract/common.js';
import { RobotInput } from '../contract/robots.js';
import {
  ClosedRtp,
  CloseRtpInput,
  OpenRtpInput,
  PushedFrame,
  PushFrameInput,
  RobotStreams,
  RtpTarget,
  Snapshot,
} from '../contract/video.js';
import type { Frame } from '../services/robot-camera.js';
import type { Context } from './context.js';
import { liveResolver } from './live.js';
import { router, scoped } from './trpc.js';

export const videoRouter = router({
  streams: scoped('robots:read')
    .input(RobotInput)
    .output(RobotStreams)
    .query(async ({ ctx, input: { robot_id } }) => {
      const { robotVideo, robotCamera } = ctx.services;
      const tracks = await robotVideo.tracks(ctx.principal, robot_id);
      const frame = await robotCamera.peek(ctx.principal, robot_id);
      const whep = `${ctx.caller.origin}/whep/${encodeURIComponent(robot_id)}`;
      const streams = [
        ...tracks.map(({ trackId, kind, label, paused }) => ({
          ...{ type: 'webrtc' as const, track_id: trackId, kind, paused, whep },
          label: label ?? null,
        })),
        ...(frame ? [{ type: 'jpeg' as const, ...cameraOf(ctx, robot_id, frame) }] : []),
      ];
      const audience = await robotVideo.audience(ctx.principal, robot_id);
      return { robot_id, streams, count: streams.length, ...audience };
    }),

  snapshot: scoped('video:watch')
    .input(RobotInput)
    .output(Snapshot)
    .query(async ({ ctx, input: { robot_id } }) => {
      const frame = await ctx.services.robotCamera.latest(ctx.principal, robot_id);
      return { robot_id, ...cameraOf(ctx, robot_id, frame) };
    }),

  /** Within the ordinary body limit; a larger one goes to `POST /api/v1/robots/{robotId}/frames`. */
  pushFrame: scoped('video:publish')
    .input(PushFrameInput)
    .output(PushedFrame)
    .mutation(async ({ ctx, input: { robot_id, jpeg } }) => {
      const { robotVideo, robotCamera } = ctx.services;
      const bytes = typeof jpeg === 'string' ? Buffer.from(jpeg, 'base64') : jpeg;
      const { width, height } = await robotCamera.push(ctx.principal, robot_id, bytes);
      const { watching } = await robotVideo.audience(ctx.principal, robot_id);
      return { message: 'Frame received', width, height, size_bytes: bytes.length, watching };
    }),

  openRtp: scoped('video:publish', { audit: 'video.open_rtp' })
    .input(OpenRtpInput)
    .output(RtpTarget)
    .mutation(({ ctx, input }) =>
      ctx.services.robotRtp.open(ctx.principal, input, ctx.caller.ip, ctx.authenticate),
    ),

  closeRtp: scoped('video:publish', { audit: 'video.close_rtp' })
    .input(CloseRtpInput)
    .output(ClosedRtp)
    .mutation(async ({ ctx, input }) => {
      await ctx.services.robotRtp.close(ctx.principal, input);
      return { message: 'Track ended' };
    }),

  /** For the robot: whether anybody watches, at once and whenever that changes. */
  viewers: scoped('video:publish')
    .input(RobotInput)
    .subscription(
      liveResolver((ctx, reader, { robot_id }: RobotInput) =>
        ctx.services.robotVideo.notices(ctx.principal, robot_id, reader),
      ),
    ),
});

function cameraOf({ caller }: Context, robotId: string, frame: Frame) {
  const robot = `${caller.origin}/api/v1/robots/${encodeURIComponent(robotId)}`;
  const { width, height, bytes, received_at } = frame;
  return {
    ...{ width, height, size_bytes: bytes.length, received_at: toInstant(received_at) },
    ...{ mjpeg: `${robot}/mjpeg`, snapshot: `${robot}/snapshot` },
  };
}
