import { z } from 'zod';
import { Instant, InstantInput, isShallow, plainText, RobotId, TOO_DEEP } from './common.js';

const number = z.number().nullish();
const text = z.string().nullish();

/**
 * The keys of a status that Fleetwire understands (seed 000, "Status JSON Structure"). A robot may send any others, and
 * these in any form: what does not fit is kept in the blob and named in a warning.
 */
export const KnownStatus = z
  .object({
    status: text.meta({ example: 'active' }),
    mode: text.meta({ example: 'auto' }),
    battery_level: z
      .number()
      .min(0)
      .max(100)
      .nullish()
      .meta({ description: 'Percent', example: 85 }),
    global_position: z
      .object({
        latitude: z.number().min(-90).max(90).nullish().meta({ description: 'Degrees, WGS 84' }),
        longitude: z.number().min(-180).max(180).nullish().meta({ description: 'Degrees, WGS 84' }),
        altitude: number.meta({ description: 'Metres' }),
      })
      .nullish(),
    local_position: z
      .object({
        x: number.meta({ description: 'Metres in the map frame' }),
        y: number.meta({ description: 'Metres in the map frame' }),
        z: number.meta({ description: 'Metres' }),
        yaw: number.meta({ description: 'Radians, counter-clockwise, 0 along x (REP-103)' }),
      })
      .nullish(),
    sensor_overview: z
      .array(
        z.object({
          sensor_id: text,
          sensor_type: text,
          value: z.unknown().optional(),
          unit: text,
        }),
      )
      .nullish(),
    laser_scan: z
      .object({
        ranges: z.array(z.number().nullable()).nullish().meta({ description: 'Metres' }),
        angle_min: number.meta({ description: 'Radians' }),
        angle_max: number.meta({ description: 'Radians' }),
      })
      .nullish(),
  })
  .meta({ id: 'KnownStatus' });
export type KnownStatus = z.infer<typeof KnownStatus>;

/** Any JSON object; see KnownStatus for the keys that are understood. */
export const StatusBlob = z
  .record(z.string(), z.unknown())
  .refine(isShallow, TOO_DEEP)
  .meta({
    id: 'Status',
    description:
      'Any JSON object. The keys of KnownStatus are understood; others are kept as they came.',
    example: {
      status: 'active',
      mode: 'auto',
      battery_level: 85,
      global_position: { latitude: 25.033, longitude: 121.5654, altitude: 0 },
      local_position: { x: 10.5, y: 5.2, z: 0, yaw: 1.57 },
    },
  });

export const EventId = plainText(128).min(1).meta({
  description: 'An id of the sample, unique for the robot: sent twice, it is stored once',
});

export const Warning = z.object({
  field: z.string().meta({ example: 'battery_level' }),
  message: z.string().meta({ example: 'Invalid input: expected number, received string' }),
});
export type Warning = z.infer<typeof Warning>;

export const PushStatusInput = z.object({
  robot_id: RobotId,
  status: StatusBlob,
  event_id: EventId.optional(),
  timestamp: InstantInput.optional().meta({
    description: 'When the robot recorded it; by default now',
  }),
});
export const PushedStatus = z.object({
  message: z.string().meta({ example: 'Status updated successfully' }),
  timestamp: Instant,
  warnings: z
    .array(Warning)
    .optional()
    .meta({ description: 'Known keys that were kept but not understood' }),
});
export type PushedStatus = z.infer<typeof PushedStatus>;

export const BATCH_LIMIT = 1_000;
export const PushBatchInput = z.object({
  robot_id: RobotId,
  samples: z
    .array(z.unknown())
    .min(1)
    .max(BATCH_LIMIT)
    .meta({ description: 'Each {status, timestamp, event_id?}; a bad one is rejected alone' }),
});
export const BatchVerdict = z.object({
  index: z.int(),
  result: z.enum(['stored', 'duplicate', 'rejected']),
  reason: z.string().optional().meta({ description: 'Why it was rejected, naming the field' }),
  warnings: z.array(Warning).optional(),
});
export type BatchVerdict = z.infer<typeof BatchVerdict>;
export const PushedBatch = z.object({
  robot_id: RobotId,
  stored: z.int(),
  duplicate: z.int(),
  rejected: z.int(),
  results: z
    .array(BatchVerdict)
    .meta({ description: 'One for each sample, in the order they were sent' }),
});
export type PushedBatch = z.infer<typeof PushedBatch>;

export const LatestStatus = z.union([
  z.object({ robot_id: RobotId, status: StatusBlob, timestamp: Instant, received_at: Instant }),
  z.object({ message: z.string().meta({ example: 'No status available' }), status: z.null() }),
]);
export type LatestStatus = z.infer<typeof LatestStatus>;

export const HistoryEntry = z.object({
  id: z.int(),
  robot_id: RobotId,
  account_id: z.string(),
  status_json: z.string().meta({ description: 'The status object as the robot sent it' }),
  timestamp: Instant.meta({ description: 'When the robot recorded it' }),
  received_at: Instant.meta({ description: 'When the server received it' }),
});
export const HistoryInput = z.object({
  robot_id: RobotId,
  start: InstantInput.optional(),
  end: InstantInput.optional(),
  limit: z.int().min(1).max(1_000).default(100),
  cursor: z.string().max(64).optional().meta({ description: 'next_cursor of the page before' }),
});
export const History = z.object({
  robot_id: RobotId,
  count: z.int(),
  history: z.array(HistoryEntry).meta({ description: 'Newest first' }),
  next_cursor: z.string().nullable(),
});

export const TrajectoryPoint = z.object({
  x: z.number().nullable(),
  y: z.number().nullable(),
  lat: z.number().nullable(),
  lng: z.number().nullable(),
  timestamp: Instant,
});
export const MAX_POINTS = 100_000;
export const TrajectoryInput = z.object({
  robot_id: RobotId,
  start: InstantInput.optional().meta({ description: 'By default 24 hours before the end' }),
  end: InstantInput.optional().meta({ description: 'By default now' }),
  max_points: z.int().min(2).max(10_000).default(1_000),
});
export const Trajectory = z.object({
  robot_id: RobotId,
  count: z.int(),
  path: z.array(TrajectoryPoint).meta({ description: 'Oldest first' }),
});

export const LiveStatusInput = z.object({
  robot_ids: z
    .array(RobotId)
    .max(1_000)
    .optional()
    .meta({ description: 'By default every robot of the account' }),
});
export const LiveStatus = z.object({
  robot_id: RobotId,
  status: StatusBlob,
  timestamp: Instant,
  received_at: Instant,
  skipped: z
    .int()
    .meta({ description: 'Newer values that replaced one this reader had not taken yet' }),
});
export type LiveStatus = z.infer<typeof LiveStatus>;
