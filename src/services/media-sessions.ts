import { randomBytes } from 'node:crypto';
import type { JoinMediaInput } from '../contract/media.js';
import { createAddressPlaces } from '../lib/address-places.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { EventHub } from '../realtime/hub.js';
import { placeInRoom, placeWithRobot } from './media-places.js';
import {
  type MediaSession,
  type MediaSessionDeps,
  noSession,
  openMediaSession,
} from './media-session.js';
import type { Meetings } from './meetings.js';
import { hashToken } from './principals.js';
import type { RobotVideo } from './robot-video.js';
import { credentialIdOf, type Rooms, type Visitor } from './rooms.js';

/** Who opens a session, and from where. */
export interface MediaCaller {
  visitor: Visitor;
  ip: string;
  authenticate: () => Promise<unknown>;
}

/** Places with audio and video that are spoken of over procedures, as mediasoup-client needs it. */
export interface MediaSessions {
  /**
   * Enters a room, or that of a robot.
   * @throws DomainError `rate_limited` when the address has as many sessions as it may have; as `rooms.enter` or
   *   `robotVideo.enter`; MediaError as `meetings.join` and `openRoom`.
   */
  join(caller: MediaCaller, input: JoinMediaInput): Promise<MediaSession>;
  /** @throws DomainError `not_found` for one that is over, or somebody else's. */
  get(visitor: Visitor, sessionId: string): MediaSession;
  count(): number;
}

export interface MediaSessionsDeps {
  rooms: Pick<Rooms, 'enter'>;
  meetings: Pick<Meetings, 'join' | 'participants'>;
  robotVideo: Pick<RobotVideo, 'enter'>;
  sessionsPerIp: number;
  hub: EventHub;
  clock: Clock;
  capBytes: number;
}

export function createMediaSessions(deps: MediaSessionsDeps): MediaSessions {
  const { rooms, meetings, robotVideo, hub, clock, capBytes } = deps;
  const sessions = new Map<string, { session: MediaSession; holder: string }>();
  const places = createAddressPlaces(deps.sessionsPerIp, 'media sessions');

  function placeFor(visitor: Visitor, input: JoinMediaInput): MediaSessionDeps['takePlace'] {
    return async (hear) => {
      const { room_id, robot_id = '', user_id = '', name, publish } = input;
      if (room_id !== undefined) {
        const room = await rooms.enter(visitor, room_id);
        const credentialId = credentialIdOf(visitor);
        const who = { userId: user_id, name: name || null, credentialId };
        return placeInRoom(meetings, room, who, hear);
      }
      const { principal } = visitor;
      if (!principal)
        throw new DomainError('unauthenticated', 'Robots are for keys of their account');
      const role = publish ? 'publish' : 'watch';
      return placeWithRobot(
        (onEnd) => robotVideo.enter(principal, robot_id, { role, name, onEnd }),
        hear,
      );
    };
  }

  return {
    async join({ visitor, ip, authenticate }, input) {
      places.assertFree(ip);
      const giveBack = places.take(ip);
      const id = randomBytes(24).toString('base64url');
      let isOver = false;
      const session = await openMediaSession({
        ...{ id, hub, clock, capBytes },
        takePlace: placeFor(visitor, input),
        authenticate: visitor.principal ? authenticate : undefined,
        onEnd() {
          isOver = true;
          sessions.delete(id);
          giveBack();
        },
      });
      if (!isOver) sessions.set(id, { session, holder: holderOf(visitor) });
      return session;
    },
    get(visitor, sessionId) {
      const found = sessions.get(sessionId);
      if (found?.holder !== holderOf(visitor)) throw noSession();
      return found.session;
    },
    count: () => sessions.size,
  };
}

/** Whose a session is. Guests are told apart by the ids of their sessions, which cannot be guessed. */
function holderOf({ principal, pass }: Visitor): string {
  if (principal) return JSON.stringify([principal.account_id, principal.key_id]);
  return pass === undefined ? 'guest' : hashToken(pass);
}
