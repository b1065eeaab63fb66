import { toInstant } from '../../contract/common.js';
import type { Participant } from '../../contract/media.js';
import { shownText, USER_ID_LIMIT_CHARS, USER_NAME_LIMIT_CHARS } from '../../contract/rooms.js';
import type { RemoteCandidate } from '../../media/provider.js';

/** How one client writes, and so how it is written to. Documented are hyphens and `data`. */
export interface Dialect {
  /** Between the words of a type: `ice-candidate` or `ice_candidate`. */
  separator: '-' | '_';
  /** Reads session descriptions at the top level, beside `data`. */
  flat: boolean;
}

export const DOCUMENTED: Dialect = { separator: '-', flat: false };

export type ClientMessage =
  | {
      type: 'join';
      /** Empty for any. */
      user_id: string;
      name: string | null;
      /** Asks for `participants` frames, which the original never sends. */
      wants_participants: boolean;
    }
  | { type: 'offer' | 'answer'; sdp: string }
  | { type: 'candidate'; candidate: RemoteCandidate }
  | { type: 'key'; public_key: string }
  | { type: 'sealed'; to: string; data: Record<string, unknown> }
  | { type: 'leave' };

export type ServerMessage =
  | { type: 'joined'; user_id: string }
  | { type: 'offer' | 'answer'; sdp: string }
  | { type: 'left'; user_id: string }
  | { type: 'key'; from: string; public_key: string }
  | { type: 'keys'; keys: Record<string, string> }
  | { type: 'sealed'; from: string; data: Record<string, unknown> }
  | { type: 'participants'; participants: readonly Participant[] }
  | { type: 'error'; code: string; message: string };

/** A frame that cannot be read; both texts are for the client. */
export class FrameError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export const SDP_LIMIT_CHARS = 65_536;
const KEY_LIMIT_CHARS = 4_096;
const CANDIDATE_LIMIT_CHARS = 4_096;
/** Base64 in either alphabet, hexadecimal, or PEM. */
const KEY = /^(-----BEGIN [A-Z0-9 ]+-----\s)?[A-Za-z0-9+/_=\s-]+(\s-----END [A-Z0-9 ]+-----\s*)?$/;

type Fields = Record<string, unknown>;
interface Read {
  message: ClientMessage;
  /** The dialect as far as this frame shows it. */
  shows: Partial<Dialect>;
}

/** Reads a frame of any dialect. @throws FrameError. */
export function readFrame(text: string): Read {
  const frame = fieldsOf(parse(text));
  if (!frame) throw invalid('A frame is a JSON object');
  const { type } = frame;
  if (typeof type !== 'string') throw invalid('type: must be a text such as "join"');
  const reader = READERS.get(type);
  if (reader) return reader(frame, fieldsOf(frame.data) ?? {});
  throw new FrameError('UNKNOWN_TYPE', `There is no type ${JSON.stringify(type.slice(0, 64))}`);
}

type Reader = (frame: Fields, data: Fields) => Read;
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['join', readJoin],
  ['offer', (frame, data) => readSdp('offer', frame, data)],
  ['answer', (frame, data) => readSdp('answer', frame, data)],
  ...spelled('ice', 'candidate', readCandidate),
  ...spelled('key', 'exchange', readKey),
  ['encrypted', (frame, data) => ({ message: readSealed(frame, data), shows: { separator: '-' } })],
  [
    'encrypted_data',
    (frame, data) => ({ message: readSealed(frame, data), shows: { separator: '_' } }),
  ],
  ['leave', () => ({ message: { type: 'leave' }, shows: {} })],
]);

function spelled(
  first: string,
  second: string,
  read: (frame: Fields, data: Fields) => ClientMessage,
): [string, Reader][] {
  return (['-', '_'] as const).map((separator) => [
    `${first}${separator}${second}`,
    (frame, data) => ({ message: read(frame, data), shows: { separator } }),
  ]);
}

function readJoin(frame: Fields, data: Fields): Read {
  const id = [frame.user_id, data.user_id, frame.from].find((value) => wordOf(value) !== '');
  const name = wordOf(data.name ?? frame.name).slice(0, USER_NAME_LIMIT_CHARS);
  const user_id = wordOf(id);
  if (user_id.length > USER_ID_LIMIT_CHARS) {
    throw invalid(`user_id: at most ${USER_ID_LIMIT_CHARS} characters`);
  }
  const wants_participants = data.participants === true;
  return { message: { type: 'join', user_id, name: name || null, wants_participants }, shows: {} };
}

function readSdp(type: 'offer' | 'answer', frame: Fields, data: Fields): Read {
  const flat = typeof data.sdp !== 'string' && typeof frame.sdp === 'string';
  const sdp = flat ? frame.sdp : data.sdp;
  if (typeof sdp !== 'string') throw invalid('data.sdp: must be the text of a session description');
  if (sdp.length > SDP_LIMIT_CHARS) {
    throw new FrameError('SDP_TOO_LARGE', `data.sdp: at most ${SDP_LIMIT_CHARS} characters`);
  }
  return { message: { type, sdp }, shows: { flat } };
}

function readCandidate(frame: Fields, data: Fields): ClientMessage {
  // On the top level, or one level down, it may be the browser's own object.
  const own = fieldsOf(frame.candidate) ?? fieldsOf(data.candidate) ?? data;
  const { candidate, sdpMid, sdpMLineIndex } = own;
  const text = typeof candidate === 'string' ? candidate : '';
  if (text.length > CANDIDATE_LIMIT_CHARS) {
    throw invalid(`data.candidate: at most ${CANDIDATE_LIMIT_CHARS} characters`);
  }
  return {
    type: 'candidate',
    candidate: {
      candidate: text,
      sdpMid: typeof sdpMid === 'string' ? sdpMid : null,
      sdpMLineIndex: typeof sdpMLineIndex === 'number' ? sdpMLineIndex : null,
    },
  };
}

function readKey(frame: Fields, data: Fields): ClientMessage {
  const key = data.public_key ?? frame.public_key;
  if (typeof key === 'string' && key.length <= KEY_LIMIT_CHARS && /\S/.test(key) && KEY.test(key)) {
    return { type: 'key', public_key: key };
  }
  const message = `data.public_key: base64, hexadecimal or PEM text of at most ${KEY_LIMIT_CHARS} characters`;
  throw new FrameError('INVALID_PUBLIC_KEY', message);
}

function readSealed(frame: Fields, data: Fields): ClientMessage {
  const to = wordOf(data.to ?? frame.to);
  if (to === '' || to.length > USER_ID_LIMIT_CHARS * 2) {
    throw invalid('data.to: must be the id of a user, or "all"');
  }
  const payload = data.payload ?? frame.payload;
  return { type: 'sealed', to, data: { ...data, to, ...(payload !== undefined && { payload }) } };
}

export interface Writing {
  dialect: Dialect;
  room_id: string;
  nowMs: number;
}

/** The text of a frame, as this client reads it. */
export function writeFrame(message: ServerMessage, { dialect, room_id, nowMs }: Writing): string {
  const timestamp = secondsOf(nowMs);
  return JSON.stringify({ ...bodyOf(message, dialect), room_id, timestamp });
}

function bodyOf(message: ServerMessage, { separator, flat }: Dialect): Fields {
  switch (message.type) {
    case 'joined':
      return { type: 'join', user_id: message.user_id };
    case 'offer':
    case 'answer': {
      const { type, sdp } = message;
      return { type, data: { sdp, type }, ...(flat && { sdp }) };
    }
    case 'left':
      return { type: 'leave', from: message.user_id };
    case 'key': {
      const { from, public_key } = message;
      return { type: `key${separator}exchange`, from, data: { public_key } };
    }
    case 'keys':
      return { type: 'public_keys', data: { keys: message.keys } };
    case 'sealed': {
      const { from, data } = message;
      return { type: separator === '-' ? 'encrypted' : 'encrypted_data', from, data };
    }
    case 'participants':
      return { type: 'participants', data: { participants: message.participants } };
    case 'error': {
      const { code, message: text } = message;
      return { type: 'error', data: { code, message: text } };
    }
  }
}

/** RFC 3339 without a fraction, as the original writes its times. */
export function secondsOf(ms: number): string {
  return toInstant(ms).replace(/\.\d+Z$/, 'Z');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('The frame is not valid JSON');
  }
}

/** Some clients number their users. */
function wordOf(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? shownText(value) : '';
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : undefined;
}

function invalid(message: string): FrameError {
  return new FrameError('INVALID_MESSAGE', message);
}
