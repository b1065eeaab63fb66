import { randomBytes } from 'node:crypto';
import type { Participant } from '../contract/media.js';
import type { RoomRow } from '../db/repositories/rooms.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import { MediaError, type MediaProvider } from '../media/provider.js';
import { createMeetingMedia, type MediaSeat } from './meeting-media.js';

/** What somebody in a room is told, in the order it happens. */
export type MeetingEvent =
  /** Who is in the room now; after every change. */
  | { type: 'participants'; participants: Participant[] }
  | { type: 'left'; user_id: string }
  | { type: 'key'; from: string; public_key: string }
  /** The newest key of everybody who has published one. */
  | { type: 'keys'; keys: Record<string, string> }
  /** Something that only its receiver can read. */
  | { type: 'sealed'; from: string; data: Record<string, unknown> }
  /** Its audio and video have ended; `media` begins anew. */
  | { type: 'media_lost' }
  | { type: 'ended'; reason: EndReason };

/** `replaced`: the same credential came again under the same name. */
export type EndReason = 'replaced' | 'expired' | 'stopping';

/** One's own place in a room. Every method but `leave` throws MediaError `closed` after the end of it. */
export interface Attendance {
  /** As the room knows it: the wished one, with a suffix if that was taken. */
  readonly user_id: string;
  /** Who was there at the join, oneself too. */
  readonly participants: readonly Participant[];
  /** The keys that had been published then. */
  readonly keys: Record<string, string>;
  /** Its end of audio and video, begun at the first call. @throws MediaError, as `openRoom` and `join` of the provider. */
  media(): Promise<MediaSeat>;
  publishKey(publicKey: string): void;
  /** To one user id, or to `all` others. @returns false when nobody of that id is there. */
  send(to: string, data: Record<string, unknown>): boolean;
  /** Idempotent. The others are told. */
  leave(): void;
}

export interface JoinSpec {
  /** Empty for any. */
  userId: string;
  name: string | null;
  /** What proves that a second one of the same user id is the same person; null when nothing does. */
  credentialId: string | null;
  onEvent: (event: MeetingEvent) => void;
}

/** Who is in which room right now, and what they say to each other. */
export interface Meetings {
  /** @throws MediaError `room_full`; `unknown_room` when it has expired; `closed` while the server stops. */
  join(room: RoomRow, spec: JoinSpec): Attendance;
  participants(roomId: string): Participant[];
  /** Ends a meeting; everybody in it is told. */
  end(roomId: string, reason: EndReason): void;
  close(): void;
}

export interface MeetingsDeps {
  media: Pick<MediaProvider, 'openRoom' | 'room'>;
  maxMembers: number;
  clock: Clock;
  log: Logger;
}

interface Seat {
  participant: Participant;
  credentialId: string | null;
  onEvent: JoinSpec['onEvent'];
  leave(): void;
}

interface Meeting {
  seats: Map<string, Seat>;
  keys: Map<string, string>;
}

/** Addresses everybody, so nobody may be called so. */
export const ALL = 'all';
/** What rooms of nobody are counted under. */
const GUESTS = 'guests';

export function createMeetings({ media, maxMembers, clock, log }: MeetingsDeps): Meetings {
  const meetings = new Map<string, Meeting>();
  let closed = false;

  function tell({ seats }: Meeting, event: MeetingEvent, except?: Seat): void {
    for (const seat of [...seats.values()]) if (seat !== except) seat.onEvent(event);
  }

  function tellParticipants(meeting: Meeting, except?: Seat): void {
    tell(meeting, { type: 'participants', participants: participantsOf(meeting) }, except);
  }

  function end(roomId: string, reason: EndReason): void {
    for (const seat of [...(meetings.get(roomId)?.seats.values() ?? [])]) {
      seat.onEvent({ type: 'ended', reason });
      seat.leave();
    }
    media
      .room(mediaRoomId(roomId))
      ?.close(reason)
      .catch((error: unknown) => log.error({ err: error }, 'a room could not be closed'));
  }

  function join(room: RoomRow, spec: JoinSpec): Attendance {
    if (closed) throw new MediaError('closed', 'The server is stopping');
    // What has expired may have been swept away already, and would never be ended.
    if (room.expires_at <= clock.now()) throw new MediaError('unknown_room', 'Room not found');
    const meeting = meetings.get(room.id) ?? { seats: new Map(), keys: new Map() };
    const wished = spec.userId || randomBytes(8).toString('hex');
    const before = meeting.seats.get(wished);
    if (before && spec.credentialId !== null && before.credentialId === spec.credentialId) {
      before.onEvent({ type: 'ended', reason: 'replaced' });
      before.leave();
    }
    if (meeting.seats.size >= maxMembers) {
      throw new MediaError('room_full', `The room is full: it takes ${maxMembers} members`, {
        limit: 'rooms.max_members',
      });
    }
    meetings.set(room.id, meeting);
    const userId = freeName(meeting, wished);
    const hall = createMeetingMedia({
      media,
      log,
      roomId: mediaRoomId(room.id),
      maxMembers,
      member: {
        id: userId,
        ...(spec.name !== null && { name: spec.name }),
        grants: { publish: true, subscribe: true, record: false },
        account: room.account_id ?? GUESTS,
      },
      onLost: () => spec.onEvent({ type: 'media_lost' }),
    });
    let present = true;

    const seat: Seat = {
      participant: { user_id: userId, name: spec.name },
      credentialId: spec.credentialId,
      onEvent: spec.onEvent,
      leave() {
        if (!present) return;
        present = false;
        meeting.seats.delete(userId);
        const hadKey = meeting.keys.delete(userId);
        hall.leave();
        if (meeting.seats.size === 0) meetings.delete(room.id);
        tell(meeting, { type: 'left', user_id: userId });
        if (hadKey) tell(meeting, { type: 'keys', keys: keysOf(meeting) });
        tellParticipants(meeting);
      },
    };
    meeting.seats.set(userId, seat);
    tellParticipants(meeting, seat);

    function requirePresent(): void {
      if (!present) throw new MediaError('closed', 'You are no longer in this room');
    }

    return {
      user_id: userId,
      participants: participantsOf(meeting),
      keys: keysOf(meeting),
      async media() {
        requirePresent();
        return hall.enter();
      },
      publishKey(publicKey) {
        requirePresent();
        meeting.keys.set(userId, publicKey);
        tell(meeting, { type: 'key', from: userId, public_key: publicKey }, seat);
        tell(meeting, { type: 'keys', keys: keysOf(meeting) });
      },
      send(to, data) {
        requirePresent();
        const event = { type: 'sealed', from: userId, data } as const;
        if (to === ALL) {
          tell(meeting, event, seat);
          return true;
        }
        const receiver = meeting.seats.get(to);
        receiver?.onEvent(event);
        return receiver !== undefined;
      },
      leave: seat.leave,
    };
  }

  return {
    join,
    participants(roomId) {
      const meeting = meetings.get(roomId);
      return meeting ? participantsOf(meeting) : [];
    },
    end,
    close() {
      closed = true;
      for (const roomId of [...meetings.keys()]) end(roomId, 'stopping');
    },
  };
}

/** The room's name in the media engine, beside those of robots. */
export function mediaRoomId(roomId: string): string {
  return `room:${roomId}`;
}

function freeName({ seats }: Meeting, wished: string): string {
  let name = wished;
  for (let n = 2; name === ALL || seats.has(name); n += 1) name = `${wished}~${n}`;
  return name;
}

function participantsOf({ seats }: Meeting): Participant[] {
  return [...seats.values()].map(({ participant }) => participant);
}

function keysOf({ keys }: Meeting): Record<string, string> {
  return Object.fromEntries(keys);
}
