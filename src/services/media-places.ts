import type { MediaEndReason, Participant } from '../contract/media.js';
import { MediaError, type MediaRoom } from '../media/provider.js';
import type { MediaSeat } from './meeting-media.js';
import type { JoinSpec, Meetings } from './meetings.js';
import type { RobotPlace, RobotVideo } from './robot-video.js';

/** Somebody's place where audio and video are exchanged, whether in a room or with a robot. */
export interface Place {
  /** Who is there now, oneself too. */
  participants(): readonly Participant[];
  /** Begins at the first call, and anew after it was lost; not called again before it has settled. @throws MediaError. */
  media(): Promise<MediaSeat>;
  /** Idempotent. The others are told. */
  leave(): void;
}

/** What somebody is told of their place. */
export type PlaceEvent =
  | { type: 'participants'; participants: readonly Participant[] }
  | { type: 'media_lost' }
  | { type: 'ended'; reason: MediaEndReason };

export type Hear = (event: PlaceEvent) => void;

/** A place among the people of a room. @throws as `meetings.join`. */
export function placeInRoom(
  meetings: Pick<Meetings, 'join' | 'participants'>,
  room: Parameters<Meetings['join']>[0],
  who: Omit<JoinSpec, 'onEvent'>,
  hear: Hear,
): Place {
  const { media, leave } = meetings.join(room, {
    ...who,
    onEvent(event) {
      // The rest is said among clients that encrypt for each other.
      if (event.type === 'participants' || event.type === 'media_lost' || event.type === 'ended') {
        hear(event);
      }
    },
  });
  return { media, leave, participants: () => meetings.participants(room.id) };
}

/** A place in the room of a robot. `enter` takes it, each time it begins. */
export function placeWithRobot(
  enter: (onEnd: Parameters<RobotVideo['enter']>[2]['onEnd']) => Promise<RobotPlace>,
  hear: Hear,
): Place {
  let seat: RobotPlace | undefined;
  let stops: (() => void)[] = [];
  let hasLeft = false;

  function leaveSeat(): void {
    for (const stop of stops) stop();
    stops = [];
    seat?.leave();
    seat = undefined;
  }

  function tellParticipants({ room }: RobotPlace): void {
    hear({ type: 'participants', participants: participantsOf(room) });
  }

  return {
    participants: () => (seat ? participantsOf(seat.room) : []),
    async media() {
      if (seat) return seat;
      let isLost = false;
      const taken = await enter((reason) => {
        isLost = true;
        leaveSeat();
        hear(
          reason === 'access_ended' ? { type: 'ended', reason: 'expired' } : { type: 'media_lost' },
        );
      });
      if (hasLeft || isLost) {
        taken.leave();
        throw new MediaError('closed', 'You are no longer in this room');
      }
      seat = taken;
      stops = [
        taken.room.on('member', () => tellParticipants(taken)),
        taken.room.on('memberLeft', () => tellParticipants(taken)),
      ];
      return taken;
    },
    leave() {
      hasLeft = true;
      leaveSeat();
    },
  };
}

function participantsOf(room: MediaRoom): Participant[] {
  return room.members().map(({ id, name }) => ({ user_id: id, name: name ?? null }));
}
