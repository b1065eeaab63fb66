import type { Principal } from '../contract/access.js';
import type { LiveReader } from '../services/live.js';
import type { Context } from './context.js';
import { toTrpcError } from './trpc.js';

/**
 * The resolver of a latest-value subscription: hands the service the reader's connection and its signal, and gives
 * errors that come later the same form as those of any other call.
 */
export function liveResolver<T>(
  open: (ctx: Context & { principal: Principal }, reader: LiveReader) => AsyncGenerator<T>,
) {
  return async function* live(opts: {
    ctx: Context & { principal: Principal };
    input: { robot_ids?: string[] | undefined };
    signal: AbortSignal | undefined;
  }): AsyncGenerator<T, void, undefined> {
    const { ctx, input, signal } = opts;
    try {
      yield* open(ctx, {
        robot_ids: input.robot_ids,
        socket: ctx.socket,
        authenticate: ctx.authenticate,
        signal,
      });
    } catch (error) {
      throw toTrpcError(error, ctx.log);
    }
  };
}
