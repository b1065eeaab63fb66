import { z } from 'zod';
import { RobotId } from '../../contract/common.js';
import { StreamIdentity } from '../../contract/streaming.js';
import { type Row, row } from '../define.js';

export const STREAMING: readonly Row[] = [
  row('GET', '/api/v1/robots/{robotId}/token', 'streaming.token', {
    summary: 'Get a LiveKit token for the room of a robot; it may watch, and publish if allowed',
    tag: 'Streaming',
    params: z.object({ robotId: RobotId }),
    query: z.object({
      identity: StreamIdentity.optional().meta({
        description: 'By default the account id, and `robot:<id>` for a robot’s own key',
      }),
      publish: z.enum(['true', 'false']).optional().meta({
        description: 'Ask to publish too; for the account itself',
      }),
    }),
    input: ({ params: { robotId }, query: { identity, publish } }) => ({
      robot_id: robotId,
      identity,
      publish: publish === 'true',
    }),
  }),
];
