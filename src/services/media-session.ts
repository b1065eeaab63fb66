import type { MediaEndReason, MediaEvent, MediaTrack } from '../contract/media.js';
import { after, type Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { MediaError, type NativeLink, type TrackInfo } from '../media/provider.js';
import { type Durable, durable } from '../realtime/durable.js';
import { Handover } from '../realtime/handover.js';
import type { EventHub } from '../realtime/hub.js';
import { createRing } from '../realtime/ring.js';
import { cursorOf, type DurableReader } from './durable.js';
import { endWithCredential } from './live.js';
import type { Hear, Place, PlaceEvent } from './media-places.js';
import type { MediaSeat } from './meeting-media.js';

/** A member of the media engine, as mediasoup-client speaks to it. */
export interface MediaEntry {
  user_id: string;
  native: NativeLink;
}

/**
 * One person's place, as it is spoken of over procedures: what would end with a socket elsewhere ends here when nobody
 * has listened for `GONE_MS`, or soon after the credential has ended.
 */
export interface MediaSession {
  readonly id: string;
  /** Begins audio and video: at first, and anew after they were lost. Idempotent. @throws MediaError. */
  enter(): Promise<MediaEntry>;
  /** @throws MediaError `closed` after they were lost, until they have begun anew. */
  native(): NativeLink;
  /**
   * What happens, from the event after the reader's cursor on, each once and in order; without a cursor, and where
   * something is missing, all there is now comes first. Ends after `ended`.
   * @throws DomainError as `durable`; `not_found` when the session is over.
   */
  events(
    reader: Pick<DurableReader, 'cursor' | 'socket' | 'signal'>,
  ): AsyncGenerator<Extract<Durable<MediaEvent>, { kind: 'event' }>, void, undefined>;
  /** Idempotent. The others are told. */
  leave(): void;
}

export interface MediaSessionDeps {
  id: string;
  /** Asked now and then. @throws when the credential has ended. Absent where there is none that could. */
  authenticate: (() => Promise<unknown>) | undefined;
  takePlace: (hear: Hear) => Promise<Place>;
  /** Called once, also when the session could not be opened. */
  onEnd: () => void;
  hub: EventHub;
  clock: Clock;
  /** What may wait for one reader. */
  capBytes: number;
}

/** How long a session outlives its last listener, whose connection may be lost for a moment. */
export const GONE_MS = 15_000;
const KEPT = { events: 256, bytes: 262_144 };

/** @throws what taking the place and beginning audio and video throw; nobody has a place then. */
export async function openMediaSession(deps: MediaSessionDeps): Promise<MediaSession> {
  const { id, authenticate, takePlace, hub, clock, capBytes } = deps;
  const topic = `media/${id}`;
  const ring = createRing<MediaEvent>(KEPT);
  const access = authenticate && endWithCredential(clock, { signal: undefined, authenticate });
  let place: Place | undefined;
  let seat: MediaSeat | undefined;
  let entering: Promise<MediaEntry> | undefined;
  let stops: (() => void)[] = [];
  let speakers: string[] = [];
  let readers = 0;
  let stopLeaving = () => {};
  let isOver = false;

  function tell(event: MediaEvent): void {
    hub.publish(topic, ring.append(event));
  }

  function tellState(): void {
    const participants = [...(place?.participants() ?? [])];
    const tracks = seat?.room.tracks().map(trackOnWire) ?? [];
    tell({ type: 'state', participants, tracks, speakers });
  }

  function hear(event: PlaceEvent): void {
    if (event.type === 'ended') end(event.reason);
    else if (event.type === 'media_lost') {
      unseat();
      tell(event);
    } else tell({ ...event, participants: [...event.participants] });
  }

  function sit(taken: MediaSeat): void {
    const { room } = taken;
    seat = taken;
    stops = [
      room.on('track', (track) => tell({ type: 'track', track: trackOnWire(track) })),
      room.on('trackPaused', (track) => tell({ type: 'track_paused', track: trackOnWire(track) })),
      room.on('trackEnd', (track) => tell({ type: 'track_ended', track: trackOnWire(track) })),
      room.on('speakers', (heard) => {
        const now = [...new Set(heard.map(({ memberId }) => memberId))];
        if (now.join('\n') === speakers.join('\n')) return;
        speakers = now;
        tell({ type: 'speakers', speakers });
      }),
    ];
    tellState();
  }

  function unseat(): void {
    for (const stop of stops) stop();
    stops = [];
    seat = undefined;
    speakers = [];
  }

  function end(reason: MediaEndReason): void {
    if (isOver) return;
    isOver = true;
    access?.stop();
    stopLeaving();
    unseat();
    place?.leave();
    tell({ type: 'ended', reason });
    deps.onEnd();
  }

  function requirePlace(): Place {
    if (place && !isOver) return place;
    throw new MediaError('closed', 'You are no longer in this room');
  }

  async function begin(): Promise<MediaEntry> {
    const taken = await requirePlace().media();
    requirePlace();
    const { id: user_id, native } = taken.member;
    if (!native) throw new MediaError('unavailable', 'This room is not for mediasoup-client');
    if (taken !== seat) sit(taken);
    return { user_id, native };
  }

  function enter(): Promise<MediaEntry> {
    entering ??= begin().finally(() => {
      entering = undefined;
    });
    return entering;
  }

  function leaveUnlessRead(): void {
    if (readers === 0 && !isOver) stopLeaving = after(clock, GONE_MS, () => end('left'));
  }

  access?.signal.addEventListener('abort', () => end('expired'));
  try {
    place = await takePlace(hear);
    if (isOver) place.leave();
    await enter();
  } catch (error) {
    end('left');
    throw error;
  }
  leaveUnlessRead();

  return {
    id,
    enter,
    native() {
      requirePlace();
      if (seat?.member.native) return seat.member.native;
      throw new MediaError('closed', 'Audio and video have ended; begin anew with media.enter');
    },
    async *events({ cursor, socket, signal }) {
      if (isOver) throw noSession();
      let from = cursorOf(cursor);
      /** What comes before says nothing to who has missed something. */
      let stateAt = 0;
      readers += 1;
      stopLeaving();
      try {
        if (from === null) {
          tellState();
          from = ring.last() - 1;
        }
        const options = { hub, topic, source: ring, after: from, socket, signal, capBytes, clock };
        const endsWith = ({ type }: MediaEvent) => type === 'ended';
        for await (const item of durable<MediaEvent>({ ...options, endsWith })) {
          if (item instanceof Handover) yield item as never;
          else if (item.kind === 'reset') {
            tellState();
            stateAt = ring.last();
          } else if (item.kind === 'event' && item.cursor >= stateAt) yield item;
        }
      } finally {
        readers -= 1;
        leaveUnlessRead();
      }
    },
    leave: () => end('left'),
  };
}

export function noSession(): DomainError {
  return new DomainError('not_found', 'You have no such session; call media.join');
}

export function trackOnWire({ trackId, memberId, kind, label, paused }: TrackInfo): MediaTrack {
  return { track_id: trackId, user_id: memberId, kind, label: label ?? null, paused };
}
