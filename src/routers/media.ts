import { type TrackedEnvelope, tracked } from '@trpc/server';
import { z } from 'zod';
import type { Scope } from '../contract/access.js';
import {
  ConnectTransportInput,
  ConsumeInput,
  ConsumerInput,
  CreateTransportInput,
  EnteredMedia,
  JoinedMedia,
  JoinMediaInput,
  MediaConsumer,
  type MediaEvent,
  MediaEventsInput,
  MediaSessionInput,
  MediaTrack,
  MediaTransport,
  PreferredLayersInput,
  ProduceInput,
  RestartedIce,
  TrackInput,
  TransportInput,
} from '../contract/media.js';
import { DomainError } from '../lib/errors.js';
import { Handover } from '../realtime/handover.js';
import { trackOnWire } from '../services/media-session.js';
import { guestsToo, requireScope, router, toTrpcError } from './trpc.js';

const SCOPES: readonly Scope[] = ['rooms:join', 'video:watch', 'video:publish'];

/** For guests of rooms and for keys with one of the scopes; which one it must be, the room that is entered says. */
function mediaProcedure(facts: Parameters<typeof guestsToo>[1] = {}) {
  return guestsToo('any', facts).use(({ ctx, next }) => {
    const { principal } = ctx.visitor;
    if (principal && !SCOPES.some((scope) => principal.scopes.has(scope))) {
      throw new DomainError('forbidden', `This key lacks the scopes ${SCOPES.join(', ')}`);
    }
    return next();
  });
}

/** Within a session that the caller has opened. */
const inSession = mediaProcedure()
  .input(MediaSessionInput)
  .use(({ ctx, input, next }) => {
    const session = ctx.services.mediaSessions.get(ctx.visitor, input.session_id);
    return next({ ctx: { session } });
  });

const Done = z.object({});
/** What has no other answer than that it was done. */
const acting = inSession.output(Done);

export const mediaRouter = router({
  join: mediaProcedure({ audit: 'room.join' })
    .input(JoinMediaInput)
    .output(JoinedMedia)
    .mutation(async ({ ctx, input }) => {
      const { visitor, caller, authenticate } = ctx;
      if (input.room_id !== undefined) {
        if (visitor.principal) requireScope(visitor.principal, 'rooms:join');
        ctx.admitToRoom?.();
      }
      const opened = { visitor, ip: caller.ip, authenticate };
      const session = await ctx.services.mediaSessions.join(opened, input);
      const { user_id, native } = await session.enter();
      return { session_id: session.id, user_id, rtp_capabilities: native.rtpCapabilities };
    }),

  enter: inSession.output(EnteredMedia).mutation(async ({ ctx }) => {
    const { user_id, native } = await ctx.session.enter();
    return { user_id, rtp_capabilities: native.rtpCapabilities };
  }),

  leave: acting.mutation(({ ctx }) => {
    ctx.session.leave();
    return {};
  }),

  events: inSession.input(MediaEventsInput).subscription(async function* ({
    ctx,
    input,
    signal,
  }): AsyncGenerator<TrackedEnvelope<MediaEvent>, void, undefined> {
    const reader = { cursor: input.lastEventId, socket: ctx.socket, signal };
    try {
      for await (const item of ctx.session.events(reader)) {
        if (item instanceof Handover) yield item as never;
        else yield tracked(String(item.cursor), item.event.payload);
      }
    } catch (error) {
      throw toTrpcError(error, ctx.log);
    }
  }),

  createTransport: inSession
    .input(CreateTransportInput)
    .output(MediaTransport)
    .mutation(async ({ ctx, input }) => {
      const made = await ctx.session.native().createTransport(input.direction);
      return {
        transport_id: made.transportId,
        ice_parameters: made.iceParameters,
        ice_candidates: made.iceCandidates,
        dtls_parameters: made.dtlsParameters,
      };
    }),

  connectTransport: acting.input(ConnectTransportInput).mutation(async ({ ctx, input }) => {
    await ctx.session.native().connect(input.transport_id, input.dtls_parameters);
    return {};
  }),

  restartIce: inSession
    .input(TransportInput)
    .output(RestartedIce)
    .mutation(async ({ ctx, input }) => ({
      ice_parameters: await ctx.session.native().restartIce(input.transport_id),
    })),

  produce: inSession
    .input(ProduceInput)
    .output(MediaTrack)
    .mutation(async ({ ctx, input }) => {
      const { transport_id, kind, rtp_parameters, label, paused, request_id } = input;
      const track = await ctx.session.native().produce({
        transportId: transport_id,
        ...{ kind, paused },
        rtpParameters: rtp_parameters,
        ...(label !== undefined && { label }),
        ...(request_id !== undefined && { requestId: request_id }),
      });
      return trackOnWire(track);
    }),

  closeTrack: acting.input(TrackInput).mutation(async ({ ctx, input }) => {
    await ctx.session.native().closeTrack(input.track_id);
    return {};
  }),

  pauseTrack: acting.input(TrackInput).mutation(async ({ ctx, input }) => {
    await ctx.session.native().pauseTrack(input.track_id);
    return {};
  }),

  resumeTrack: acting.input(TrackInput).mutation(async ({ ctx, input }) => {
    await ctx.session.native().resumeTrack(input.track_id);
    return {};
  }),

  consume: inSession
    .input(ConsumeInput)
    .output(MediaConsumer)
    .mutation(async ({ ctx, input }) => {
      const { consumerId, track, rtpParameters } = await ctx.session.native().consume({
        transportId: input.transport_id,
        trackId: input.track_id,
        rtpCapabilities: input.rtp_capabilities,
      });
      return {
        consumer_id: consumerId,
        track: trackOnWire(track),
        rtp_parameters: rtpParameters,
      };
    }),

  pauseConsumer: acting.input(ConsumerInput).mutation(async ({ ctx, input }) => {
    await ctx.session.native().pause(input.consumer_id);
    return {};
  }),

  resumeConsumer: acting.input(ConsumerInput).mutation(async ({ ctx, input }) => {
    await ctx.session.native().resume(input.consumer_id);
    return {};
  }),

  closeConsumer: acting.input(ConsumerInput).mutation(async ({ ctx, input }) => {
    await ctx.session.native().closeConsumer(input.consumer_id);
    return {};
  }),

  setPreferredLayers: acting.input(PreferredLayersInput).mutation(async ({ ctx, input }) => {
    const { consumer_id, spatial_layer, temporal_layer } = input;
    await ctx.session.native().setPreferredLayers(consumer_id, {
      spatialLayer: spatial_layer,
      ...(temporal_layer !== undefined && { temporalLayer: temporal_layer }),
    });
    return {};
  }),
});
