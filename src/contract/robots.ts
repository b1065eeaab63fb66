import { z } from 'zod';
import { Instant, plainText, RobotId } from './common.js';

/**
 * `online` while the robot was heard of within its timeout, `stale` until three times that, then `offline`.
 * A robot never heard of is `offline`.
 */
export const Presence = z.enum(['online', 'stale', 'offline']);
export type Presence = z.infer<typeof Presence>;

const PresenceTimeout = z.int().min(1_000).max(86_400_000).nullable().meta({
  description:
    'Silence in milliseconds after which the robot is stale; null for the server default',
});
const RobotType = plainText(100).min(1).meta({ example: 'mobile_robot' });
const RobotName = plainText(200).nullable().meta({ example: 'Patrol Bot 1' });

/** What is stored is described, not judged: a database that was adopted may hold what would be refused today. */
export const Robot = z
  .object({
    id: z.string().meta({ example: 'robot_001' }),
    account_id: z.string(),
    robot_type: z.string().meta({ example: 'mobile_robot' }),
    robot_name: z.string().nullable().meta({ example: 'Patrol Bot 1' }),
    presence: Presence,
    last_seen_at: Instant.nullable().meta({ description: 'When the robot was last heard of' }),
    presence_timeout_ms: z.int().nullable(),
    active_map_id: z.string().nullable(),
    stopped_at: Instant.nullable().meta({
      description: 'Set while a stop holds: no command is taken until it is cleared',
    }),
    stopped_by: z.string().nullable(),
    created_at: Instant,
    updated_at: Instant,
  })
  .meta({ id: 'Robot' });
export type Robot = z.infer<typeof Robot>;

export const RobotList = z.object({ robots: z.array(Robot), count: z.int() });

export const RegisterRobotInput = z.object({
  robot_id: RobotId,
  robot_type: RobotType,
  robot_name: RobotName.optional(),
  presence_timeout_ms: PresenceTimeout.optional(),
});
export type RegisterRobotInput = z.infer<typeof RegisterRobotInput>;
export const RegisteredRobot = z.object({
  message: z.string().meta({ example: 'Robot registered successfully' }),
  robot_id: RobotId,
});

export const RobotInput = z.object({ robot_id: RobotId });
export type RobotInput = z.infer<typeof RobotInput>;

export const UpdateRobotInput = z.object({
  robot_id: RobotId,
  robot_type: RobotType.optional(),
  robot_name: RobotName.optional(),
  presence_timeout_ms: PresenceTimeout.optional(),
});
export type UpdateRobotInput = z.infer<typeof UpdateRobotInput>;

export const DeleteRobotInput = z.object({
  robot_id: RobotId,
  confirm: z.string().meta({
    description: "The robot's id once more: its statuses, logs and alerts are deleted with it",
  }),
});
export const DeletedRobot = z.object({ message: z.string(), robot_id: RobotId });

export const PresenceInput = z.object({
  robot_ids: z
    .array(RobotId)
    .max(1_000)
    .optional()
    .meta({ description: 'By default every robot of the account' }),
});
export const PresenceEvent = z.object({
  robot_id: RobotId,
  presence: Presence,
  last_seen_at: Instant.nullable(),
  skipped: z
    .int()
    .meta({ description: 'Newer values that replaced one this reader had not taken yet' }),
});
export type PresenceEvent = z.infer<typeof PresenceEvent>;
