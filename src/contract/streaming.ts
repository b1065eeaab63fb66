import { z } from 'zod';
import { Instant, RobotId } from './common.js';

/** Who a participant of a LiveKit room is; two of one identity push each other out. */
export const StreamIdentity = z
  .string()
  .max(128)
  .regex(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
    /^[^\u0000-\u001f\u007f\ud800-\udfff]*$/u,
    'must not hold control characters',
  );

export const StreamingTokenInput = z.object({
  robot_id: RobotId,
  identity: StreamIdentity.optional().meta({
    description: 'By default the account id, and `robot:<id>` for a robot’s own key',
  }),
  publish: z.boolean().default(false).meta({
    description: 'Whether the token may send audio and video; a robot’s own key always may',
  }),
});
export type StreamingTokenInput = z.infer<typeof StreamingTokenInput>;

export const StreamingToken = z.object({
  token: z.string().meta({ description: 'A LiveKit access token (JWT, HS256)' }),
  host: z.string().meta({ example: 'http://localhost:7880' }),
  room: z.string().meta({ description: 'The id of the robot' }),
  identity: z.string(),
  can_publish: z.boolean(),
  expires_at: Instant,
});
export type StreamingToken = z.infer<typeof StreamingToken>;

/** What a token allows, for whoever signs it. */
export interface StreamGrant {
  room: string;
  identity: string;
  can_publish: boolean;
  ttlSeconds: number;
}
