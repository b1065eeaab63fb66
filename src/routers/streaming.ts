import { StreamingToken, StreamingTokenInput } from '../contract/streaming.js';
import { router, scoped } from './trpc.js';

export const streamingRouter = router({
  token: scoped('streams:read', { audit: 'streaming.token' })
    .input(StreamingTokenInput)
    .output(StreamingToken)
    .query(({ ctx, input }) => ctx.services.streamingTokens.issue(ctx.principal, input)),
});
