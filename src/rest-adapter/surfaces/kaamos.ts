import { z } from 'zod';
import { RoomId } from '../../contract/rooms.js';
import { DomainError } from '../../lib/errors.js';
import { row, type Surface } from '../define.js';
import { secondsOf } from './kaamos-frames.js';

const Seconds = z.string().meta({ format: 'date-time', example: '2026-01-25T12:00:00Z' });

/** An instant of ours as the original writes it. */
function seconds(instant: string): string {
  return secondsOf(Date.parse(instant));
}

const Failure = z
  .object({
    error: z.string(),
    message: z.string().optional(),
    retry_after: z.string().optional().meta({ example: '60s' }),
  })
  .meta({ id: 'RoomFailure' });

/** Rooms of the Kaamos server; what is said in them goes over its WebSocket. */
export const kaamos: Surface = {
  name: 'kaamos',
  owns: /^\/(api\/rooms|ws|compat\/kaamos)\//,
  rows: [
    row('GET', '/health', 'system.health', {
      summary: 'Health check',
      tag: 'System',
      data: z.object({ status: z.literal('ok'), time: Seconds }),
      output: ({ status, timestamp, failing }) => {
        if (status === 'healthy') return { status: 'ok', time: seconds(timestamp) };
        throw new DomainError('unavailable', `Not working: ${failing.join(', ')}`);
      },
    }),
    row('POST', '/api/rooms/create', 'rooms.create', {
      summary: 'Make a room for a call; whatever the body says is ignored',
      tag: 'Rooms',
      data: z.object({ room_id: RoomId, url: z.string(), expires_at: Seconds }),
      input: () => undefined,
      output: ({ room_id, url, expires_at }) => ({ room_id, url, expires_at: seconds(expires_at) }),
    }),
    row('GET', '/api/rooms/{roomId}', 'rooms.get', {
      summary: 'Who is in a room',
      tag: 'Rooms',
      params: z.object({ roomId: RoomId }),
      data: z.object({
        room_id: RoomId,
        active: z.boolean(),
        participants: z.int(),
        created_at: Seconds,
      }),
      output: ({ room_id, active, participants, created_at }) => ({
        ...{ room_id, active, participants },
        created_at: seconds(created_at),
      }),
    }),
  ],
  success: (data) => data,
  failure: ({ status, message, issues }) => {
    if (status === 429) return { error: 'rate limit exceeded', message, retry_after: '60s' };
    // The sentence alone, without the name of the field, and small as the original's are.
    const sentence = issues?.[0]?.message ?? message;
    return { error: sentence.charAt(0).toLowerCase() + sentence.slice(1) };
  },
  successSchema: (data) => data,
  failureSchema: Failure,
};
