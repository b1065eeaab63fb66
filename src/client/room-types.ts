import type { MediaTrack, Participant } from '../contract/media.js';

/** The browser's MediaStreamTrack; a stand-in where the library "DOM" is not among the types. */
export type BrowserTrack = typeof globalThis extends { MediaStreamTrack: { prototype: infer T } }
  ? T
  : { readonly id: string; readonly kind: string; enabled: boolean; stop(): void };

/** Of a track that is sent in layers, the most one wants; less comes when the network carries no more. */
export type Quality = 'off' | 'low' | 'middle' | 'high';

export type JoinRoomOptions = {
  /** What people read. */
  name?: string;
} & (
  | {
      /** Of `rooms.create`. */
      roomId: string;
      /** A wish; somebody else may be called so. */
      userId?: string;
    }
  | {
      /** A robot's own room, to watch it. */
      robotId: string;
      /** To send as the robot, in place of watching it. */
      publish?: boolean;
    }
);

/** What somebody else sends, as it plays here. */
export interface RemoteTrack extends MediaTrack {
  readonly participant: Participant;
  readonly mediaStreamTrack: BrowserTrack;
}

/** What one sends oneself. It outlives a lost connection. */
export interface LocalTrack {
  readonly mediaStreamTrack: BrowserTrack;
  readonly muted: boolean;
  mute(): Promise<void>;
  unmute(): Promise<void>;
  /** Ends the sending; the track itself stays its giver's. */
  stop(): Promise<void>;
}

export interface RoomEvents {
  track: RemoteTrack;
  trackEnded: RemoteTrack;
  /** `paused` has changed. */
  trackPaused: RemoteTrack;
  /** Who is there now. */
  participants: readonly Participant[];
  /** The user ids of those who are heard, loudest first. */
  speakers: readonly string[];
  /** Every track has ended, because the connection or the server is gone; it comes back by itself. */
  lost: undefined;
  rejoined: undefined;
  /** What could not be received or sent again; the rest goes on. */
  error: unknown;
  /** For good: by `leave`, the room or the credential has ended, or one has joined again elsewhere. */
  ended: { reason: 'left' | 'replaced' | 'expired' };
}

export interface Room {
  /** Who one is to the others. */
  readonly userId: string;
  readonly participants: readonly Participant[];
  readonly tracks: readonly RemoteTrack[];
  /** What there is already is not told again: read `tracks` first. Returns the function that ends it. */
  on<E extends keyof RoomEvents>(event: E, listener: (value: RoomEvents[E]) => void): () => void;
  /**
   * Sends a track, or those of a stream. `simulcast` sends video in three sizes, of which each viewer gets what they
   * want and can take.
   */
  publish(
    source: BrowserTrack | { getTracks(): BrowserTrack[] },
    options?: { simulcast?: boolean; label?: string },
  ): Promise<LocalTrack[]>;
  /** All that one sends, or all of a kind. */
  mute(kind?: 'audio' | 'video'): Promise<void>;
  unmute(kind?: 'audio' | 'video'): Promise<void>;
  setQuality(trackId: string, quality: Quality): Promise<void>;
  leave(): Promise<void>;
}
