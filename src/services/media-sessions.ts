import type { JoinMediaInput } from '../contract/media.js';
import { createAddressPlaces } from '../lib/address-places.js';
import type { Clock } from '../lib/clock.js';
import type { EventHub } from '../realtime/hub.js';
import type { TakePlace } from './media-places.js';
import { type MediaSession, noSession, openMediaSession } from './media-session.js';
import type { Meetings } from './meetings.js';
import { hashToken } from './principals.js';
import { credentialIdOf, type Rooms, type Visitor } from './rooms.js';

/** Places in rooms with audio and video that are spoken of over procedures, which is what mediasoup-client needs. */
export interface MediaSessions {
  /**
   * Enters a room, from an address.
   * @throws DomainError `rate_limited` when the address has as many sessions as it may have, as `rooms.enter`, and
   * MediaError as `meetings.join` and `openRoom`.
   */
  join(visitor: Visitor, ip: string, input: JoinMediaInput): Promise<MediaSession>;
  /** @throws DomainError `not_found` for one that is over, or somebody else's. */
  get(visitor: Visitor, sessionId: string): MediaSession;
  count(): number;
}

export interface MediaSessionsDeps {
  rooms: Pick<Rooms, 'enter'>;
  meetings: Pick<Meetings, 'join' | 'participants'>;
  hub: EventHub;
  clock: Clock;
  capBytes: number;
  sessionsPerIp: number;
}

export function createMediaSessions(deps: MediaSessionsDeps): MediaSessions {
  const { rooms, meetings, hub, clock, capBytes } = deps;
  const sessions = new Map<string, { session: MediaSession; holder: string }>();
  const places = createAddressPlaces(deps.sessionsPerIp, 'media sessions');

  function placeFor(visitor: Visitor, input: JoinMediaInput): TakePlace {
    return async (hear) => {
      const room = await rooms.enter(visitor, input.room_id);
      const { media, user_id, leave } = meetings.join(room, {
        userId: input.user_id ?? '',
        name: input.name || null,
        credentialId: credentialIdOf(visitor),
        onEvent(event) {
          if (['participants', 'media_lost', 'ended'].includes(event.type)) hear(event);
        },
      });
      return { user_id, media, leave, participants: () => meetings.participants(room.id) };
    };
  }

  return {
    async join(visitor, ip, input) {
      places.assertFree(ip);
      const release = places.take(ip);
      try {
        const session = await openMediaSession({
          ...{ hub, clock, capBytes, takePlace: placeFor(visitor, input) },
          onEnd() {
            sessions.delete(session.id);
            release();
          },
        });
        sessions.set(session.id, { session, holder: holderOf(visitor) });
        return session;
      } catch (error) {
        release();
        throw error;
      }
    },
    get(visitor, sessionId) {
      const found = sessions.get(sessionId);
      if (found?.holder !== holderOf(visitor)) throw noSession();
      return found.session;
    },
    count: () => sessions.size,
  };
}

/** Whose a session is. That of a guest is whose who knows its id, which cannot be guessed. */
function holderOf(visitor: Visitor): string {
  const { principal, pass } = visitor;
  if (principal) return JSON.stringify([principal.account_id, principal.key_id]);
  return pass === undefined ? 'guest' : hashToken(pass);
}
