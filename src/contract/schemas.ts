import { z } from 'zod';
import { SubmitAlertInput } from './alerts.js';
import { SendCommandInput } from './commands.js';
import { PushLogInput, PushLogsInput } from './logs.js';
import { CreateMessageSchemaInput } from './messages.js';
import { RegisterRobotInput } from './robots.js';
import { PushBatchInput, PushStatusInput, StatusBlob } from './status.js';

/** A request that a program can make knowing nothing but its schema. */
export interface BuiltInSchema {
  id: string;
  title: string;
  /** Where it is POSTed to; `{robot_id}` stands for the id of a robot. */
  endpoint: string;
  /** What the REST row of that endpoint judges the body by. */
  body: z.ZodType;
  example: Record<string, unknown>;
}

/** The robot of every example, and what `{robot_id}` stands for beside them. */
export const EXAMPLE_ROBOT_ID = 'robot_001';
const ROBOT = '/api/v1/robots/{robot_id}';
const BODY = { robot_id: true } as const;
const EXAMPLE_STATUS = StatusBlob.meta()?.example;

/**
 * The requests of the fleet API that may be made with their examples any number of times, by id: whoever makes them in
 * this order has registered the robot before speaking of it. What needs an id that the server made, deletes something,
 * or leaves one more thing behind each time that stays (keys, rules) is not here.
 */
export const BUILT_IN_SCHEMAS: readonly BuiltInSchema[] = [
  {
    id: 'message_schema',
    title: 'Define a kind of message',
    endpoint: '/api/v1/schemas',
    body: CreateMessageSchemaInput,
    example: {
      id: 'wheel_odometry',
      title: 'Wheel odometry',
      schema: {
        type: 'object',
        properties: {
          left_ticks: { type: 'integer' },
          right_ticks: { type: 'integer' },
          slipping: { type: 'boolean' },
        },
        required: ['left_ticks', 'right_ticks'],
      },
      example: { left_ticks: 10_412, right_ticks: 10_398, slipping: false },
    },
  },
  {
    id: 'register_robot_request',
    title: 'Register a robot',
    endpoint: '/api/v1/robots',
    body: RegisterRobotInput,
    example: {
      robot_id: EXAMPLE_ROBOT_ID,
      robot_type: 'mobile_robot',
      robot_name: 'Patrol Bot 1',
    },
  },
  {
    id: 'robot_alert',
    title: 'Raise an alert',
    endpoint: `${ROBOT}/alert`,
    body: SubmitAlertInput.omit(BODY),
    example: {
      alert_type: 'low_battery',
      severity: 'warning',
      message: 'Battery at 15 percent',
      metadata: { battery_level: 15 },
      dedup_key: 'battery',
    },
  },
  {
    id: 'robot_command',
    title: 'Send a command',
    endpoint: `${ROBOT}/control`,
    body: SendCommandInput.omit({ ...BODY, idempotency_key: true }),
    example: { action: 'move_to', parameters: { x: 3.5, y: -1.2 }, ttl_seconds: 60 },
  },
  {
    id: 'robot_log',
    title: 'Store a log line',
    endpoint: `${ROBOT}/logs`,
    body: PushLogInput.omit(BODY),
    example: { topic: 'navigation', message: 'Reached waypoint 4', level: 'info' },
  },
  {
    id: 'robot_log_batch',
    title: 'Store many log lines',
    endpoint: `${ROBOT}/logs/batch`,
    body: PushLogsInput.omit(BODY),
    example: {
      logs: [
        { topic: 'navigation', message: 'Reached waypoint 5', timestamp: '2026-01-25T12:00:00Z' },
        { topic: 'battery', message: 'Cell 3 is warm', level: 'warning' },
      ],
    },
  },
  {
    id: 'robot_status',
    title: 'Store a status',
    endpoint: `${ROBOT}/status`,
    body: PushStatusInput.omit(BODY),
    example: { status: EXAMPLE_STATUS },
  },
  {
    id: 'robot_status_batch',
    title: 'Store many statuses, each with its own time',
    endpoint: `${ROBOT}/status/batch`,
    body: PushBatchInput.omit(BODY),
    example: {
      samples: [
        { timestamp: '2026-01-25T12:00:00Z', status: EXAMPLE_STATUS },
        { timestamp: '2026-01-25T12:00:01Z', status: { battery_level: 84 } },
      ],
    },
  },
];

/** One entry of the list, whether built in or an account's own. */
export const SchemaSummary = z
  .object({
    id: z.string().meta({ example: 'robot_status' }),
    title: z.string(),
    method: z.literal('POST'),
    endpoint: z.string().meta({ example: '/api/v1/robots/{robot_id}/status' }),
    path_parameters: z
      .record(z.string(), z.string())
      .meta({ description: 'What may stand for the placeholders of the endpoint' }),
    built_in: z.boolean(),
    example: z.record(z.string(), z.unknown()).meta({ description: 'A valid body' }),
  })
  .meta({ id: 'SchemaSummary' });
export type SchemaSummary = z.infer<typeof SchemaSummary>;
export const SchemaList = z.object({
  schemas: z.array(SchemaSummary).meta({ description: 'By id' }),
});

export const SchemaInput = z.object({ schema_id: z.string().min(1).max(128) });
/** JSON Schema 2020-12 of a request body, or an account's own as it was given; `example` is a valid body. */
export const SchemaDocument = z.looseObject({
  title: z.string(),
  example: z.record(z.string(), z.unknown()),
});
export type SchemaDocument = z.infer<typeof SchemaDocument>;
