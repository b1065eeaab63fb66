import { z } from 'zod';

/** The input of the measured calls: a status as robots send it. */
export const CallInput = z.object({
  robot_id: z.string().min(1).max(128),
  status: z.looseObject({
    status: z.string(),
    mode: z.string(),
    battery_level: z.number(),
    local_position: z.object({ x: z.number(), y: z.number(), z: z.number(), yaw: z.number() }),
  }),
});
export type CallInput = z.output<typeof CallInput>;

export const CallOutput = z.object({ message: z.string(), timestamp: z.string() });
export type CallOutput = z.output<typeof CallOutput>;

/** What all variants do: next to nothing. */
export function answerCall({ robot_id }: CallInput): CallOutput {
  return { message: `Status of ${robot_id} taken`, timestamp: new Date().toISOString() };
}
