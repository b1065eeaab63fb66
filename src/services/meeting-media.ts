import type { Logger } from '../lib/logger.js';
import {
  MediaError,
  type MediaMember,
  type MediaProvider,
  type MediaRoom,
  type MemberSpec,
} from '../media/provider.js';

/** A member, and the room it is in. */
export interface MediaSeat {
  readonly room: MediaRoom;
  readonly member: MediaMember;
}

/** One participant's way into the audio and video of a room. */
export interface MeetingMedia {
  /** Begun at the first call; again after it was lost or could not be had. @throws MediaError. */
  enter(): Promise<MediaSeat>;
  /** For good. */
  leave(): void;
}

export interface MeetingMediaDeps {
  media: Pick<MediaProvider, 'openRoom'>;
  roomId: string;
  maxMembers: number;
  member: MemberSpec;
  /** The engine has ended it. */
  onLost: () => void;
  log: Logger;
}

export function createMeetingMedia(deps: MeetingMediaDeps): MeetingMedia {
  const { media, roomId, maxMembers, member, onLost, log } = deps;
  let entering: Promise<MediaSeat> | undefined;
  let entered: MediaMember | undefined;
  let stops: (() => void)[] = [];
  let over = false;

  function forget(): void {
    for (const stop of stops) stop();
    stops = [];
    entering = undefined;
    entered = undefined;
  }

  function lost(): void {
    forget();
    onLost();
  }

  async function begin(): Promise<MediaSeat> {
    const room = await media.openRoom(roomId, { maxMembers });
    requirePresent();
    const joined = await room.join(member);
    if (over) await joined.leave();
    requirePresent();
    entered = joined;
    stops = [
      room.on('closed', lost),
      room.on('memberLeft', ({ memberId }) => {
        if (memberId === member.id) lost();
      }),
    ];
    return { room, member: joined };
  }

  function requirePresent(): void {
    if (over) throw new MediaError('closed', 'You are no longer in this room');
  }

  return {
    enter() {
      if (!entering) {
        const attempt = begin();
        entering = attempt;
        attempt.catch(() => {
          if (entering === attempt) entering = undefined;
        });
      }
      return entering;
    },
    leave() {
      over = true;
      const left = entered;
      forget();
      left?.leave().catch((error: unknown) => log.error({ err: error }, 'a member did not leave'));
    },
  };
}
