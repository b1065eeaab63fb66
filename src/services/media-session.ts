import { randomBytes } from 'node:crypto';
import type { MediaEndReason, MediaEvent, MediaTrack } from '../contract/media.js';
import { after, type Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { MediaError, type NativeLink, type TrackInfo } from '../media/provider.js';
import { durable } from '../realtime/durable.js';
import type { EventHub } from '../realtime/hub.js';
import { createRing } from '../realtime/ring.js';
import { cursorOf, type DurableReader } from './durable.js';
import { endWithCredential } from './live.js';
import type { Place, PlaceEvent, TakePlace } from './media-places.js';
import type { MediaSeat } from './meeting-media.js';
import type { Participant } from './meetings.js';

/** Who listens to a session. Without `authenticate` there is nothing that could be taken from them. */
export type MediaReader = Pick<DurableReader, 'cursor' | 'socket' | 'signal'> &
  Partial<Pick<DurableReader, 'authenticate'>>;

/**
 * One person's place, as it is spoken of over procedures: what would end with a socket elsewhere ends here when nobody
 * has listened for `GONE_MS`.
 */
export interface MediaSession {
  readonly id: string;
  readonly user_id: string;
  /** Begins audio and video: at first, and anew after they were lost. Idempotent. @throws MediaError. */
  enter(): Promise<NativeLink>;
  /** @throws MediaError `closed` while audio and video have not begun. */
  native(): NativeLink;
  /**
   * What happens, from the event after the reader's cursor on, each once and in order; without a cursor, and whenever
   * something is missed, beginning with all there is now. Ends after `ended`.
   * @throws DomainError as `durable`, `not_found` when the session is over, and what `authenticate` says.
   */
  events(reader: MediaReader): AsyncGenerator<{ cursor: number; event: MediaEvent }>;
  /** Idempotent. The others are told. */
  leave(): void;
}

export interface MediaSessionDeps {
  hub: EventHub;
  clock: Clock;
  /** What may wait for one reader. */
  capBytes: number;
  takePlace: TakePlace;
  /** Called once. */
  onEnd: () => void;
}

/** How long a session outlives its last listener, whose connection may be lost for a moment. */
export const GONE_MS = 15_000;
const KEPT = { events: 256, bytes: 262_144 };

/** @throws what taking the place and entering throw; nobody has a place then. */
export async function openMediaSession(deps: MediaSessionDeps): Promise<MediaSession> {
  const { hub, clock, capBytes } = deps;
  const id = randomBytes(24).toString('base64url');
  const topic = `media/${id}`;
  const ring = createRing<MediaEvent>(KEPT);
  let seat: MediaSeat | undefined;
  let stops: (() => void)[] = [];
  let participants: readonly Participant[] = [];
  let speakers: string[] = [];
  let place: Place | undefined;
  let readers = 0;
  let stopLeaving = () => {};
  let over = false;

  function tell(event: MediaEvent): void {
    hub.publish(topic, ring.append(event));
  }

  function tellState(): void {
    const tracks = seat?.room.tracks().map(trackOnWire) ?? [];
    tell({ type: 'state', participants: [...participants], tracks, speakers });
  }

  function hear(event: PlaceEvent): void {
    if (event.type === 'ended') return end(event.reason);
    if (event.type === 'participants') {
      participants = event.participants;
      return tell({ ...event, participants: [...participants] });
    }
    unseat();
    tell(event);
  }

  function listen({ room }: MediaSeat): void {
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
  }

  function unseat(): void {
    for (const stop of stops) stop();
    stops = [];
    seat = undefined;
    speakers = [];
  }

  function end(reason: MediaEndReason): void {
    if (over) return;
    over = true;
    stopLeaving();
    unseat();
    place?.leave();
    tell({ type: 'ended', reason });
    deps.onEnd();
  }

  function leaveSoon(): void {
    stopLeaving = after(clock, GONE_MS, () => end('left'));
  }

  function requirePlace(): Place {
    if (place && !over) return place;
    throw new MediaError('closed', 'You are no longer in this room');
  }

  async function enter(): Promise<NativeLink> {
    const taken = await requirePlace().media();
    requirePlace();
    if (!taken.member.native) {
      throw new MediaError('unavailable', 'This room is not for mediasoup-client');
    }
    if (taken !== seat) {
      unseat();
      seat = taken;
      listen(taken);
      tellState();
    }
    return taken.member.native;
  }

  async function* events(reader: MediaReader): ReturnType<MediaSession['events']> {
    if (over) throw noSession();
    const { authenticate, signal, socket } = reader;
    let after = cursorOf(reader.cursor);
    const ended = authenticate && endWithCredential(clock, { signal, authenticate });
    readers += 1;
    stopLeaving();
    try {
      if (after === null) {
        tellState();
        after = ring.last() - 1;
      }
      const options = { hub, topic, source: ring, after, socket, capBytes, clock };
      for await (const item of durable<MediaEvent>({ ...options, signal: ended?.signal ?? signal })) {
        if (item.kind === 'reset') tellState();
        if (item.kind !== 'event') continue;
        const { payload } = item.event;
        yield { cursor: item.cursor, event: payload };
        if (payload.type === 'ended') return;
      }
    } finally {
      ended?.stop();
      readers -= 1;
      const isRevoked = ended?.signal.aborted && !signal?.aborted;
      if (isRevoked) end('expired');
      else if (readers === 0 && !over) leaveSoon();
    }
  }

  place = await deps.takePlace(hear);
  if (over) place.leave();
  const { user_id } = requirePlace();
  participants = place.participants();
  leaveSoon();
  try {
    await enter();
  } catch (error) {
    end('left');
    throw error;
  }
  return {
    id,
    user_id,
    enter,
    native() {
      requirePlace();
      if (seat?.member.native) return seat.member.native;
      throw new MediaError('closed', 'Audio and video have ended; begin anew with media.enter');
    },
    events,
    leave: () => end('left'),
  };
}

export function noSession(): DomainError {
  return new DomainError('not_found', 'You have no such session; call media.join');
}

export function trackOnWire({ trackId, memberId, kind, label, paused }: TrackInfo): MediaTrack {
  return { track_id: trackId, user_id: memberId, kind, label: label ?? null, paused };
}
