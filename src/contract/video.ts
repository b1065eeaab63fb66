import { z } from 'zod';
import { Instant, plainText, RobotId } from './common.js';

export const StreamLabel = plainText(64).min(1).meta({
  description: 'What people call it, such as which of the cameras',
  example: 'front',
});
export const VideoSessionId = z
  .string()
  .regex(/^[\w-]{1,64}$/)
  .meta({ description: 'As the Location of the answer that began it ends' });
const Sdp = z.string().meta({ description: 'A session description (RFC 8866), at most 64 KiB' });

export const OpenSessionInput = z.object({
  robot_id: RobotId,
  sdp: Sdp,
  label: StreamLabel.optional(),
});
export type OpenSessionInput = z.infer<typeof OpenSessionInput>;
export const VideoSession = z.object({
  session_id: VideoSessionId,
  sdp: Sdp.meta({ description: 'The answer; all candidates are in it' }),
  etag: z.string().meta({ description: 'Of the ICE session, without quotes' }),
});
export type VideoSession = z.infer<typeof VideoSession>;

export const PatchSessionInput = z.object({
  robot_id: RobotId,
  session_id: VideoSessionId,
  fragment: z.string().max(65_536).meta({ description: 'An SDP fragment (RFC 8840)' }),
  if_match: z.string().max(200).optional().meta({
    description:
      'The etag of the ICE session for candidates, in quotes or not; `*` to begin ICE anew',
  }),
});
export type PatchSessionInput = z.infer<typeof PatchSessionInput>;
export const PatchedSession = z.object({
  fragment: z.string().nullable().meta({
    description: 'What the server says of its new ICE; null when it has not begun anew',
  }),
  etag: z.string(),
});
export type PatchedSession = z.infer<typeof PatchedSession>;

export const SessionInput = z.object({ robot_id: RobotId, session_id: VideoSessionId });
export type SessionInput = z.infer<typeof SessionInput>;
export const EndedSession = z.object({ message: z.string().meta({ example: 'Session ended' }) });

const Kind = z.enum(['audio', 'video']);
const Url = z.string().meta({ example: 'https://fleet.example.com/whep/robot_001' });
const TrackStream = z.object({
  type: z.literal('webrtc'),
  track_id: z.string(),
  kind: Kind,
  label: z.string().nullable(),
  paused: z.boolean(),
  whep: Url.meta({ description: 'Where a WHEP player asks for it' }),
});
const CameraStream = z.object({
  type: z.literal('jpeg'),
  width: z.int().meta({ description: 'Pixels' }),
  height: z.int(),
  size_bytes: z.int(),
  received_at: Instant,
  mjpeg: Url.meta({ description: 'For `<img>`, with `?ticket=` or `?token=`' }),
  snapshot: Url.meta({ description: 'The newest picture' }),
});
/** What there is to watch of a robot. */
export const RobotStreams = z.object({
  robot_id: RobotId,
  streams: z.array(z.discriminatedUnion('type', [TrackStream, CameraStream])),
  count: z.int(),
  viewers: z.int().meta({ description: 'How many watch it now, by whichever way' }),
  watching: z.boolean().meta({
    description:
      'Whether its picture is wanted: from the first viewer on, until 30 s after the last',
  }),
});
export type RobotStreams = z.infer<typeof RobotStreams>;

export const OpenRtpInput = z.object({
  robot_id: RobotId,
  kind: Kind,
  codec: z.enum(['VP8', 'H264', 'opus']),
  label: StreamLabel.optional(),
});
export type OpenRtpInput = z.infer<typeof OpenRtpInput>;
export const RtpTarget = z.object({
  track_id: z.string(),
  kind: Kind,
  codec: z.string(),
  label: z.string().nullable(),
  address: z.string().meta({ description: 'Where the packets go to', example: '192.0.2.7' }),
  rtp_port: z.int(),
  rtcp_port: z.int(),
  payload_type: z.int().meta({ example: 96 }),
  ssrc: z.int(),
  from: z.string().meta({ description: 'The only address that packets are taken from' }),
  ffmpeg: z.string().meta({ description: 'A command that sends a test picture or tone' }),
});
export type RtpTarget = z.infer<typeof RtpTarget>;
export const CloseRtpInput = z.object({ robot_id: RobotId, track_id: plainText(64).min(1) });
export type CloseRtpInput = z.infer<typeof CloseRtpInput>;
export const ClosedRtp = z.object({ message: z.string().meta({ example: 'Track ended' }) });

export const PushFrameInput = z.object({
  robot_id: RobotId,
  jpeg: z.union([z.string(), z.custom<Uint8Array>((value) => value instanceof Uint8Array)]).meta({
    description: 'The picture in base64 (bytes are for calls inside the server)',
  }),
});
export type PushFrameInput = z.infer<typeof PushFrameInput>;
export const PushedFrame = z.object({
  message: z.string().meta({ example: 'Frame received' }),
  width: z.int(),
  height: z.int(),
  size_bytes: z.int(),
  watching: z.boolean().meta({ description: 'Whether anybody wants to see it' }),
});
export type PushedFrame = z.infer<typeof PushedFrame>;
export const Snapshot = CameraStream.omit({ type: true }).extend({ robot_id: RobotId });
export type Snapshot = z.infer<typeof Snapshot>;

/** What a robot is told of those who watch it. */
export const ViewersFrame = z.object({
  type: z.literal('viewers'),
  watching: z.boolean(),
  viewers: z.int(),
  timestamp: Instant,
});
export type ViewersFrame = z.infer<typeof ViewersFrame>;
