/** The answer to a status as in the fleet API, and the schema by which Fastify writes it. */
export const STATUS_RESPONSE_SCHEMA = {
  type: 'object',
  properties: {
    success: { type: 'boolean' },
    data: {
      type: 'object',
      properties: { message: { type: 'string' }, timestamp: { type: 'string' } },
    },
  },
} as const;

export function statusAnswer(nowMs: number): object {
  return {
    success: true,
    data: { message: 'Status updated successfully', timestamp: new Date(nowMs).toISOString() },
  };
}
