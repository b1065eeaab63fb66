import { z } from 'zod';
import { plainText, RobotId } from './common.js';
import { RoomId, UserId, UserName } from './rooms.js';
import {
  DtlsParameters,
  type IceCandidate,
  type IceParameters,
  MediaKind,
  RtpCapabilities,
  RtpParameters,
} from './rtp.js';

/** What mediasoup names its things by, and we our sessions. */
const Id = z.string().min(1).max(64);

export const Participant = z.object({
  user_id: z.string(),
  name: z.string().nullable(),
});
export type Participant = z.infer<typeof Participant>;

/** One audio or video track that somebody sends. */
export const MediaTrack = z.object({
  track_id: Id,
  user_id: z.string().meta({ description: 'Who sends it' }),
  kind: MediaKind,
  label: z.string().nullable().meta({ description: 'What its sender calls it', example: 'front' }),
  paused: z.boolean().meta({ description: 'Muted by its sender or by others' }),
});
export type MediaTrack = z.infer<typeof MediaTrack>;

export const JoinMediaInput = z
  .object({
    room_id: RoomId.optional(),
    robot_id: RobotId.optional().meta({ description: 'In place of `room_id`' }),
    user_id: UserId.optional().meta({
      description:
        'In rooms, a wish: with a suffix when somebody else is called so, made up when left out',
    }),
    name: UserName.optional().meta({ description: 'What people read' }),
    publish: z.boolean().default(false).meta({
      description: 'With a robot: to send as the robot, in place of watching it',
    }),
  })
  .refine(
    ({ room_id, robot_id }) => (room_id === undefined) !== (robot_id === undefined),
    'name either a room_id or a robot_id',
  );
export type JoinMediaInput = z.output<typeof JoinMediaInput>;

export const MediaSessionInput = z.object({
  session_id: Id.meta({
    description: 'Of `media.join`, and good for whoever made that call alone',
  }),
});

export const EnteredMedia = z.object({
  user_id: z.string().meta({ description: 'Who one is to the others' }),
  rtp_capabilities: z.custom<RtpCapabilities>().meta({ description: 'For `device.load`' }),
});
export const JoinedMedia = EnteredMedia.extend({ session_id: Id });

export const MediaEndReason = z.enum([
  /** By `media.leave`, or because nobody listened to `media.events` for a while. */
  'left',
  /** The same credential joined again under the same name. */
  'replaced',
  /** The room has expired, the robot is gone, or the credential is. */
  'expired',
  /** The server stops; join again. */
  'stopping',
]);
export type MediaEndReason = z.infer<typeof MediaEndReason>;

export const MediaEvent = z.discriminatedUnion('type', [
  /** All there is now; comes first, after events were missed, and when media have begun anew. */
  z.object({
    type: z.literal('state'),
    participants: z.array(Participant),
    tracks: z.array(MediaTrack),
    speakers: z.array(z.string()),
  }),
  z.object({ type: z.literal('participants'), participants: z.array(Participant) }),
  z.object({ type: z.literal('track'), track: MediaTrack }),
  z.object({ type: z.literal('track_paused'), track: MediaTrack }),
  z.object({ type: z.literal('track_ended'), track: MediaTrack }),
  /** The user ids of those who are heard, loudest first. */
  z.object({ type: z.literal('speakers'), speakers: z.array(z.string()) }),
  /** Every transport and track has ended; `media.enter` begins anew. */
  z.object({ type: z.literal('media_lost') }),
  /** The last one. */
  z.object({ type: z.literal('ended'), reason: MediaEndReason }),
]);
export type MediaEvent = z.infer<typeof MediaEvent>;

export const MediaEventsInput = z.object({
  lastEventId: z.string().max(32).nullish().meta({
    description: 'The event to go on after. tRPC sets it on a reconnect, under its own name',
  }),
});

export const CreateTransportInput = z.object({ direction: z.enum(['send', 'recv']) });
export const MediaTransport = z.object({
  transport_id: Id,
  ice_parameters: z.custom<IceParameters>(),
  ice_candidates: z.custom<IceCandidate[]>(),
  dtls_parameters: z.custom<DtlsParameters>(),
});
export const TransportInput = z.object({ transport_id: Id });
export const ConnectTransportInput = TransportInput.extend({ dtls_parameters: DtlsParameters });
export const RestartedIce = z.object({ ice_parameters: z.custom<IceParameters>() });

export const ProduceInput = TransportInput.extend({
  kind: MediaKind,
  rtp_parameters: RtpParameters,
  label: plainText(100).optional(),
  paused: z.boolean().default(false).meta({ description: 'As after `media.pauseTrack`' }),
  request_id: Id.optional().meta({
    description: 'The same again gives the first track, as long as it lasts',
  }),
});
export const TrackInput = z.object({ track_id: Id });

export const ConsumeInput = TransportInput.extend({
  track_id: Id,
  rtp_capabilities: RtpCapabilities.meta({ description: '`device.recvRtpCapabilities`' }),
});
export const MediaConsumer = z.object({
  consumer_id: Id,
  track: MediaTrack,
  rtp_parameters: z.custom<RtpParameters>(),
});
export const ConsumerInput = z.object({ consumer_id: Id });
export const PreferredLayersInput = ConsumerInput.extend({
  spatial_layer: z.int().min(0).max(7),
  temporal_layer: z.int().min(0).max(7).optional(),
});
