import type { RoomRow } from '../db/repositories/rooms.js';
import { after, type Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import { MediaError, type SdpLink } from '../media/provider.js';
import {
  type ClientMessage,
  type Dialect,
  DOCUMENTED,
  FrameError,
  readFrame,
  type ServerMessage,
  writeFrame,
} from '../rest-adapter/surfaces/kaamos-frames.js';
import type { Attendance, EndReason, MeetingEvent, Meetings } from '../services/meetings.js';
import { createMeter } from './ws-life.js';

/** What a session needs of a WebSocket. */
export interface RoomConnection {
  send(text: string): void;
  onText(listener: (text: string) => void): void;
  onClose(listener: () => void): void;
  /** What comes is left unread until `resume`. */
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
}

export interface RoomSessionOptions {
  room: RoomRow;
  credentialId: string | null;
  meetings: Pick<Meetings, 'join'>;
  isLimited: boolean;
  clock: Clock;
  log: Pick<Logger, 'error'>;
}

const FRAMES_PER_SECOND = 50;
/** Frames that wait for the media engine before the client's next ones are left unread. */
const WAITING_LIMIT = 32;
/** How long a client may be silent before it joins. */
const JOIN_LIMIT_MS = 15_000;
const CLOSE_NORMAL = 1_000;
/** Codes that applications may choose. */
const CLOSE_FULL = 4_003;
const CLOSE_NOT_JOINED = 4_008;
const ENDS: Record<EndReason, { code: number; message: string }> = {
  replaced: { code: 4_009, message: 'You are in this room through a newer connection' },
  expired: { code: 4_010, message: 'The room has expired' },
  stopping: { code: 1_012, message: 'The server is shutting down' },
};

/**
 * One client in one room, from its `join` to its end. A frame that cannot be followed earns an `error` frame and changes
 * nothing; the socket stays open, but for a room that is full (4003) or gone.
 */
export function serveRoom(connection: RoomConnection, options: RoomSessionOptions): void {
  const { room, meetings, clock, log } = options;
  const isTooFast = createMeter(clock, FRAMES_PER_SECOND);
  let dialect: Dialect = DOCUMENTED;
  let attendance: Attendance | undefined;
  let wantsParticipants = false;
  let waiting = 0;

  function say(message: ServerMessage): void {
    connection.send(writeFrame(message, { dialect, room_id: room.id, nowMs: clock.now() }));
  }

  function hear(event: MeetingEvent): void {
    if (event.type === 'media_lost') {
      const message = 'Audio and video have ended; offer anew with a new RTCPeerConnection';
      say({ type: 'error', code: 'MEDIA_LOST', message });
    } else if (event.type === 'ended') {
      const { code, message } = ENDS[event.reason];
      say({ type: 'error', code: event.reason.toUpperCase(), message });
      connection.close(code, message);
    } else if (event.type !== 'participants' || wantsParticipants) {
      say(event);
    }
  }

  function join(message: Extract<ClientMessage, { type: 'join' }>): void {
    if (attendance) throw new FrameError('ALREADY_JOINED', 'You are in this room already');
    attendance = meetings.join(room, {
      userId: message.user_id,
      name: message.name,
      credentialId: options.credentialId,
      onEvent: hear,
    });
    stopWaiting();
    wantsParticipants = message.wants_participants;
    const { user_id, keys, participants } = attendance;
    say({ type: 'joined', user_id });
    if (Object.keys(keys).length > 0) say({ type: 'keys', keys });
    if (wantsParticipants) say({ type: 'participants', participants });
  }

  async function linkOf(present: Attendance): Promise<SdpLink> {
    const { sdp } = (await present.media()).member;
    if (!sdp) throw new MediaError('unavailable', 'This room takes no session descriptions');
    sdp.onOffer ??= (offer) => say({ type: 'offer', sdp: offer });
    return sdp;
  }

  async function follow(message: Exclude<ClientMessage, { type: 'join' }>): Promise<void> {
    if (!attendance) throw new FrameError('NOT_JOINED', 'The first frame must be a join');
    switch (message.type) {
      case 'offer': {
        const sdp = await (await linkOf(attendance)).offer(message.sdp);
        if (sdp !== null) say({ type: 'answer', sdp });
        return;
      }
      case 'answer':
        return (await linkOf(attendance)).answer(message.sdp);
      case 'candidate':
        // Taken and not used: the server learns the client's addresses from the checks it receives.
        return;
      case 'key':
        return attendance.publishKey(message.public_key);
      case 'sealed':
        if (attendance.send(message.to, message.data)) return;
        throw new FrameError('UNKNOWN_USER', `There is no user ${message.to} in this room`);
      case 'leave':
        return connection.close(CLOSE_NORMAL, 'Goodbye');
    }
  }

  function complain(error: unknown): void {
    const isKnown = error instanceof FrameError || error instanceof MediaError;
    if (!isKnown) log.error({ err: error }, 'a frame of a room could not be followed');
    const code = error instanceof MediaError ? error.reason.toUpperCase() : codeOf(error);
    say({ type: 'error', code, message: isKnown ? error.message : 'Internal error' });
    // Who has no place has nothing more to say.
    if (code === 'ROOM_FULL' && !attendance) connection.close(CLOSE_FULL, 'The room is full');
  }

  function take(text: string): void {
    const { message, shows } = readFrame(text);
    dialect = { ...dialect, ...shows };
    if (message.type === 'join') join(message);
    else void takeOne(message);
  }

  /** Not one after the other: an offer that crossed ours waits for the answer that comes behind it. */
  async function takeOne(message: Exclude<ClientMessage, { type: 'join' }>): Promise<void> {
    waiting += 1;
    if (waiting === WAITING_LIMIT) connection.pause();
    await follow(message).catch(complain);
    waiting -= 1;
    if (waiting === WAITING_LIMIT / 2) connection.resume();
  }

  const stopWaiting = after(clock, JOIN_LIMIT_MS, () => {
    connection.close(CLOSE_NOT_JOINED, 'The first frame must be a join');
  });
  connection.onClose(() => {
    stopWaiting();
    attendance?.leave();
  });
  connection.onText((text) => {
    const excess = options.isLimited ? isTooFast() : 'none';
    try {
      if (excess === 'none') take(text);
      else if (excess === 'first') {
        const limit = `At most ${FRAMES_PER_SECOND} frames a second; those above are dropped`;
        throw new FrameError('RATE_LIMITED', limit);
      }
    } catch (error) {
      complain(error);
    }
  });
}

function codeOf(error: unknown): string {
  return error instanceof FrameError ? error.code : 'INTERNAL';
}
