import {
  EndedSession,
  OpenSessionInput,
  PatchedSession,
  PatchSessionInput,
  SessionInput,
  VideoSession,
} from '../contract/video.js';
import type { VideoRole } from '../services/robot-video.js';
import { router, scoped } from './trpc.js';

/** WHIP (RFC 9725), by which robots send. */
export const whipRouter = sessionRouter('publish', 'whip');
/** WHEP, by which they are watched. */
export const whepRouter = sessionRouter('watch', 'whep');

function sessionRouter(role: VideoRole, name: 'whip' | 'whep') {
  const scope = `video:${role}` as const;
  return router({
    open: scoped(scope, { audit: `${name}.open` })
      .input(OpenSessionInput)
      .output(VideoSession)
      .mutation(({ ctx, input, signal }) => {
        const { authenticate } = ctx;
        return ctx.services.videoSessions.open(ctx.principal, role, input, {
          authenticate,
          signal,
        });
      }),

    patch: scoped(scope)
      .input(PatchSessionInput)
      .output(PatchedSession)
      .mutation(({ ctx, input }) => ctx.services.videoSessions.patch(ctx.principal, role, input)),

    end: scoped(scope, { audit: `${name}.end` })
      .input(SessionInput)
      .output(EndedSession)
      .mutation(async ({ ctx, input }) => {
        await ctx.services.videoSessions.end(ctx.principal, role, input);
        return { message: 'Session ended' };
      }),
  });
}
