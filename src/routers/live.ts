import { type TrackedEnvelope, tracked } from '@trpc/server';
import type { Principal } from '../contract/access.js';
import type { DurableInput, StreamStart } from '../contract/streams.js';
import type { Durable } from '../realtime/durable.js';
import { Handover } from '../realtime/handover.js';
import type { DurableReader } from '../services/durable.js';
import type { LiveReader } from '../services/live.js';
import type { Context } from './context.js';
import { toTrpcError } from './trpc.js';

/**
 * The resolver of a subscription without a cursor: hands the service the reader's connection and its signal, and gives
 * errors that come later the same form as those of any other call.
 */
export function liveResolver<T, Input extends object = object>(
  open: (
    ctx: Context & { principal: Principal },
    reader: LiveReader,
    input: Input,
  ) => AsyncGenerator<T>,
) {
  return async function* live(opts: {
    ctx: Context & { principal: Principal };
    input: Input & { robot_ids?: string[] | undefined };
    signal: AbortSignal | undefined;
  }): AsyncGenerator<T, void, undefined> {
    const { ctx, input, signal } = opts;
    try {
      const reader = {
        robot_ids: input.robot_ids,
        socket: ctx.socket,
        authenticate: ctx.authenticate,
        signal,
      };
      yield* open(ctx, reader, input);
    } catch (error) {
      throw toTrpcError(error, ctx.log);
    }
  };
}

/**
 * The resolver of a durable subscription: every value is tracked, so that a client which lost its connection goes on
 * after the last one it has.
 */
export function durableResolver<T extends object, Input extends DurableInput = DurableInput>(
  open: (
    ctx: Context & { principal: Principal },
    reader: DurableReader,
    input: Input,
  ) => AsyncGenerator<Durable<T>>,
) {
  return async function* live(opts: {
    ctx: Context & { principal: Principal };
    input: Input;
    signal: AbortSignal | undefined;
  }): AsyncGenerator<TrackedEnvelope<StreamStart | T>, void, undefined> {
    const { ctx, input, signal } = opts;
    try {
      const reader = {
        robot_ids: input.robot_ids,
        cursor: input.lastEventId,
        socket: ctx.socket,
        authenticate: ctx.authenticate,
        signal,
      };
      for await (const item of open(ctx, reader, input)) {
        if (item instanceof Handover) yield item as never;
        else yield tracked(String(item.cursor), payloadOf(item));
      }
    } catch (error) {
      throw toTrpcError(error, ctx.log);
    }
  };
}

/** What goes out of one item of a durable stream, whichever door it leaves by. */
export function payloadOf<T extends object>(item: Durable<T>): StreamStart | T {
  switch (item.kind) {
    case 'event':
      return item.event.payload;
    case 'start':
      return { type: 'start', cursor: String(item.cursor) };
    case 'reset':
      return { type: 'reset', begins_after: String(item.begins_after) };
  }
}
