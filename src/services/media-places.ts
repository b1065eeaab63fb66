import type { Participant } from './meetings.js';
import type { MediaSeat } from './meeting-media.js';
import type { MediaEndReason } from '../contract/media.js';

/** Somebody's place where audio and video are exchanged, be it a room's or a robot's. */
export interface Place {
  /** Who they are to the others. */
  readonly user_id: string;
  /** Who is there now, oneself too. */
  participants(): readonly Participant[];
  /** Begun at the first call, and anew after it was lost. @throws MediaError. */
  media(): Promise<MediaSeat>;
  /** Idempotent. The others are told. */
  leave(): void;
}

/** What somebody is told of their place. */
export type PlaceEvent =
  | { type: 'participants'; participants: readonly Participant[] }
  | { type: 'media_lost' }
  | { type: 'ended'; reason: MediaEndReason };

/** Finds or makes one's place; from then on `hear` is told of it. */
export type TakePlace = (hear: (event: PlaceEvent) => void) => Promise<Place>;
