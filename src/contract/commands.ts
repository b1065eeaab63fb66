import { z } from 'zod';
import { ActionName } from './actions.js';
import { Instant, isShallow, plainText, RobotId, TOO_DEEP } from './common.js';

/**
 * queued → delivered → received → in_progress → completed | failed; or expired, or cancelled. It never goes back, steps
 * may be left out, and it ends once.
 */
export const CommandStatus = z
  .enum([
    ...(['queued', 'delivered', 'received', 'in_progress'] as const),
    ...(['completed', 'failed', 'expired', 'cancelled'] as const),
  ])
  .meta({ id: 'CommandStatus' });
export type CommandStatus = z.infer<typeof CommandStatus>;

export const CommandId = plainText(64).min(1).meta({ description: 'The id of the command' });
const Parameters = z
  .record(z.string(), z.unknown())
  .refine(isShallow, TOO_DEEP)
  .meta({ description: "They fit the action's schema", example: { x: 3.5, y: -1.2 } });

export const Command = z
  .object({
    command_id: z.string(),
    robot_id: z.string(),
    action: z.string().meta({ example: 'move_to' }),
    parameters: z.record(z.string(), z.unknown()),
    status: CommandStatus,
    issued_by: z.string().meta({ description: 'The account, or the id of its API key' }),
    message: z.string().nullable().meta({ description: 'What was said of it last' }),
    result: z.unknown().meta({ description: 'What the robot returned; null before that' }),
    deliveries: z.int().meta({ description: 'How often it was handed to the robot' }),
    created_at: Instant,
    expires_at: Instant.meta({ description: 'Until when it may be handed to the robot' }),
    delivered_at: Instant.nullable(),
    received_at: Instant.nullable(),
    started_at: Instant.nullable(),
    finished_at: Instant.nullable(),
  })
  .meta({ id: 'Command' });
export type Command = z.infer<typeof Command>;

export const TTL_LIMIT_SECONDS = 86_400;
export const IdempotencyKey = plainText(128).min(1).meta({
  description:
    'The same key with the same command again changes nothing, and gives the command as it is now',
});
export const SendCommandInput = z.object({
  robot_id: RobotId,
  action: ActionName.meta({ example: 'move_to' }),
  parameters: Parameters.nullish().transform((parameters) => parameters ?? {}),
  ttl_seconds: z.int().min(1).max(TTL_LIMIT_SECONDS).default(300).meta({
    description: 'How long it may wait for the robot',
  }),
  idempotency_key: IdempotencyKey.optional(),
});
export type SendCommandInput = z.output<typeof SendCommandInput>;
export const SentCommand = Command.extend({
  message: z.string().meta({ example: 'Command sent' }),
});
export type SentCommand = z.infer<typeof SentCommand>;

export const CommandInput = z.object({ robot_id: RobotId, command_id: CommandId });
export type CommandInput = z.infer<typeof CommandInput>;

export const COMMANDS_PAGE = 1_000;
export const ListCommandsInput = z.object({
  robot_id: RobotId.optional().meta({ description: 'By default every robot of the account' }),
  status: CommandStatus.optional(),
  limit: z.int().min(1).max(COMMANDS_PAGE).default(100),
  cursor: z.string().max(64).optional().meta({ description: 'next_cursor of the page before' }),
});
export type ListCommandsInput = z.output<typeof ListCommandsInput>;
export const CommandList = z.object({
  robot_id: z.string().nullable().meta({ description: 'Null for every robot of the account' }),
  count: z.int(),
  commands: z.array(Command).meta({ description: 'Newest first' }),
  next_cursor: z.string().nullable(),
});

/** What a robot says of a command. */
export const Acknowledgement = z.object({
  status: z.enum(['received', 'in_progress', 'completed', 'failed']),
  message: plainText(10_000).nullish(),
  result: z
    .unknown()
    .refine(isShallow, TOO_DEEP)
    .optional()
    .meta({ description: 'Any JSON of up to 64 KiB' }),
});
export const AckCommandInput = CommandInput.extend(Acknowledgement.shape);
export type AckCommandInput = z.infer<typeof AckCommandInput>;

/** A command as a robot gets it. */
export const CommandFrame = z.object({
  id: z.string().meta({ description: 'The command_id to acknowledge it by' }),
  type: z.string().meta({ description: 'The action', example: 'move_to' }),
  parameters: z.record(z.string(), z.unknown()),
  timestamp: Instant.meta({ description: 'When it was sent' }),
  expires_at: Instant,
  redelivered: z.literal(true).optional().meta({
    description: 'It was handed out before and not acknowledged',
  }),
});
export type CommandFrame = z.infer<typeof CommandFrame>;

export const WAIT_LIMIT_SECONDS = 60;
export const NextCommandInput = z.object({
  robot_id: RobotId,
  wait: z.number().min(0).max(WAIT_LIMIT_SECONDS).default(30).meta({
    description: 'Seconds to wait when there is none',
  }),
});
export const NextCommand = z.object({ command: CommandFrame.nullable() });

/** What a dashboard is told: a command as it is now, or that a robot was stopped or its stop was cleared. */
export const CommandEvent = z.discriminatedUnion('type', [
  Command.extend({ type: z.literal('command') }),
  z.object({
    type: z.literal('stop'),
    robot_id: z.string(),
    stopped_at: Instant.nullable().meta({ description: 'Null when it was cleared' }),
    stopped_by: z.string().nullable(),
    by: z.string().meta({ description: 'Who did it' }),
    at: Instant,
  }),
]);
export type CommandEvent = z.infer<typeof CommandEvent>;

const Reason = plainText(500).min(1).optional().meta({ example: 'A person in the aisle' });
export const StopInput = z.object({ robot_id: RobotId, reason: Reason });
export type StopInput = z.infer<typeof StopInput>;
export const StopFleetInput = z.object({ reason: Reason }).optional();
export const StoppedRobot = z.object({
  robot_id: z.string(),
  command_id: z.string(),
  status: CommandStatus,
  stopped_at: Instant,
  stopped_by: z.string().meta({ description: 'Who stopped it first' }),
});
export type StoppedRobot = z.infer<typeof StoppedRobot>;
export const StoppedFleet = z.object({ robots: z.array(StoppedRobot), count: z.int() });
export const ClearedRobot = z.object({
  robot_id: z.string(),
  cleared: z.boolean().meta({ description: 'False when no stop was holding it' }),
  stopped_at: Instant.nullable(),
  stopped_by: z.string().nullable(),
  cleared_by: z.string(),
});
export type ClearedRobot = z.infer<typeof ClearedRobot>;
export const ClearedFleet = z.object({
  robots: z.array(ClearedRobot).meta({ description: 'Those that a stop was holding' }),
  count: z.int(),
});
