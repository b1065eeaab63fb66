import { z } from 'zod';
import { Instant } from './common.js';

export const Health = z.object({
  status: z.enum(['healthy', 'unhealthy']),
  timestamp: Instant,
  version: z.string(),
  video: z.enum(['on', 'off']).meta({ description: 'Whether video rooms can be opened' }),
  failing: z.array(z.string()).meta({ description: 'The parts that do not work', example: [] }),
});
export type Health = z.infer<typeof Health>;

export const Version = z.object({ version: z.string(), name: z.literal('Fleetwire') });

/** What anybody may know of the configuration. Never a secret. */
export const PublicConfig = z.object({
  name: z.literal('Fleetwire'),
  version: z.string(),
  features: z.object({
    email_verification_required: z.boolean(),
    robot_quota_enabled: z.boolean(),
    rate_limiting_enabled: z.boolean(),
    registration_enabled: z.boolean(),
  }),
  livekit: z
    .object({ host: z.string() })
    .nullable()
    .meta({ description: 'Null when LiveKit is not configured' }),
  ice_servers: z.array(z.object({ urls: z.array(z.string()) })),
  limits: z.object({
    robots_per_account: z.int(),
    requests_per_second: z.int(),
    body_bytes: z.int(),
    batch_samples: z.int(),
  }),
});
export type PublicConfig = z.infer<typeof PublicConfig>;
