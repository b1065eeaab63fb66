import { NewRoom, Room, RoomInput } from '../contract/rooms.js';
import { DomainError } from '../lib/errors.js';
import { guestsToo, router } from './trpc.js';

export const roomsRouter = router({
  create: guestsToo('rooms:write', { audit: 'room.create' })
    .output(NewRoom)
    .mutation(async ({ ctx }) => {
      const { principal, pass } = ctx.visitor;
      if (pass !== undefined) {
        throw new DomainError('unauthenticated', 'The pass of a room makes no other rooms');
      }
      const room = await ctx.services.rooms.create(principal);
      const query = room.pass === null ? '' : `?token=${room.pass}`;
      return { ...room, url: `${ctx.caller.origin}/room/${room.room_id}${query}` };
    }),
  get: guestsToo('rooms:join')
    .input(RoomInput)
    .output(Room)
    .query(({ ctx, input }) => ctx.services.rooms.get(ctx.visitor, input.room_id)),
});
