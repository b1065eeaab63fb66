import { z } from 'zod';
import { Instant } from './common.js';

/** What everybody can know of a room's id: new ones are 10 letters and digits, others may be wished for. */
export const RoomId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,50}$/, 'invalid room slug')
  .meta({ description: 'The id of the room; who knows it may enter', example: 'k3Xw9QzT7b' });

export const RoomInput = z.object({ room_id: RoomId });
export type RoomInput = z.infer<typeof RoomInput>;

export const NewRoom = z.object({
  room_id: RoomId,
  url: z.string().meta({
    description: 'The page of the room, for people; made with a credential it holds the pass',
    example: 'https://fleet.example.com/room/k3Xw9QzT7b',
  }),
  pass: z.string().nullable().meta({
    description:
      'Lets guests into this room, as `?token=`; shown this once. Null for a room made without a credential',
    example: 'fwj_…',
  }),
  created_at: Instant,
  expires_at: Instant,
});
export type NewRoom = z.infer<typeof NewRoom>;

export const Room = z.object({
  room_id: RoomId,
  active: z.boolean().meta({ description: 'Somebody is in it, or it is less than a day old' }),
  participants: z.int(),
  created_at: Instant,
  expires_at: Instant,
});
export type Room = z.infer<typeof Room>;

/** How long who somebody is, and what they are called, may be in a room. */
export const USER_ID_LIMIT_CHARS = 128;
export const USER_NAME_LIMIT_CHARS = 100;
/** Control characters and halves of surrogate pairs, which have no place in a name. */
const UNFIT = /[\p{Control}\p{Surrogate}]/gu;

/** A name as the others are shown it. */
export function shownText(text: string): string {
  return text.replace(UNFIT, '').trim();
}

export const UserId = z.string().overwrite(shownText).max(USER_ID_LIMIT_CHARS);
export const UserName = z.string().overwrite(shownText).max(USER_NAME_LIMIT_CHARS);

/** What a room's pass begins with, to tell it from credentials of accounts. */
export const PASS_PREFIX = 'fwj_';
