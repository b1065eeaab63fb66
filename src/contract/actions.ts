import { z } from 'zod';
import { Instant, isShallow, plainText, TOO_DEEP } from './common.js';

export const ActionName = z
  .string()
  .max(64)
  .regex(/^[a-z][a-z0-9_]*$/, 'must be small letters, digits and _, beginning with a letter')
  .meta({ example: 'wave' });

const ParametersSchema = z
  .record(z.string(), z.unknown())
  .refine(isShallow, TOO_DEEP)
  .nullable()
  .meta({
    description:
      'JSON Schema (2020-12, or draft 7 if `$schema` says so) of the parameters, which are an object; null takes any',
    example: { type: 'object', properties: { times: { type: 'integer', minimum: 1 } } },
  });
const Description = plainText(1_000).nullable();
const RobotTypes = z
  .array(plainText(100).min(1))
  .min(1)
  .max(50)
  .nullable()
  .meta({ description: 'The types of robots that know it; null for all', example: ['arm'] });

/** Something that robots can be told to do. */
export const Action = z
  .object({
    id: z.string().meta({ description: 'Of a built-in action, its name' }),
    name: ActionName,
    description: z.string().nullable(),
    robot_types: z.array(z.string()).nullable(),
    parameters_schema: ParametersSchema,
    built_in: z.boolean(),
    created_at: Instant.nullable().meta({ description: 'Null for a built-in one' }),
    updated_at: Instant.nullable(),
  })
  .meta({ id: 'Action' });
export type Action = z.infer<typeof Action>;
export const ActionList = z.object({ actions: z.array(Action), count: z.int() });

export const ActionId = plainText(64).min(1);
export const ActionInput = z.object({ action_id: ActionId });
export const CreateActionInput = z.object({
  name: ActionName,
  description: Description.optional(),
  robot_types: RobotTypes.optional(),
  parameters_schema: ParametersSchema.optional(),
});
export type CreateActionInput = z.infer<typeof CreateActionInput>;
export const UpdateActionInput = CreateActionInput.partial().extend({ action_id: ActionId });
export type UpdateActionInput = z.infer<typeof UpdateActionInput>;
export const DeletedAction = z.object({
  message: z.string().meta({ example: 'Action deleted successfully' }),
  action_id: z.string(),
});
