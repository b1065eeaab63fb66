import type {
  Consumer,
  Producer,
  RtpCapabilities,
  RtpParameters,
  Transport,
} from 'mediasoup/types';
import type { Logger } from '../../lib/logger.js';
import {
  type Grants,
  type Kind,
  MediaError,
  type RoomEvents,
  type TrackInfo,
} from '../provider.js';
import { engineError } from './engine-error.js';
import type { Relay, Volume } from './relays.js';

/** Something a member sends. */
export interface Track {
  /** As it is now. */
  info(): TrackInfo;
  readonly owner: Owner;
  readonly producer: Producer;
  /** The router it is sent to. */
  readonly relay: Relay;
}

/** What the tracks need to know of a member, and keep about it. */
export interface Owner {
  readonly id: string;
  readonly grants: Grants;
  readonly label: string | undefined;
  /** Of its transports, since the room knows what is its by this. */
  isOpen(): boolean;
  readonly muted: Set<Kind>;
  /** The highest simulcast layer it gets. */
  maxLayer: number;
  /** Tracks it sends, those being made among them. */
  published: number;
  readonly consumers: Set<Consumer>;
  /** Consumers being made. */
  consuming: number;
}

export interface Publication {
  kind: Kind;
  rtpParameters: RtpParameters;
  label?: string | undefined;
  /** Of the producer; made up when left out. */
  id?: string;
}

export interface Subscription {
  trackId: string;
  rtpCapabilities: RtpCapabilities;
  mid?: string;
}

/** Who sends what in a room, and who gets it. */
export interface Tracks {
  /** @throws MediaError `not_permitted`, `too_many`, `bad_media`, `closed`. */
  publish(
    owner: Owner,
    relay: Relay,
    transport: Transport,
    publication: Publication,
  ): Promise<Track>;
  /** The same, but nobody is told and nobody gets it before `announce`. */
  prepare(
    owner: Owner,
    relay: Relay,
    transport: Transport,
    publication: Publication,
  ): Promise<Track>;
  announce(track: Track): void;
  /**
   * The consumer is paused, and closes with its track.
   * @throws MediaError `not_permitted`, `unknown_track`, `too_many`, `bad_media`, `closed`.
   */
  subscribe(
    owner: Owner,
    relay: Relay,
    transport: Transport,
    subscription: Subscription,
  ): Promise<{ consumer: Consumer; track: Track }>;
  /** Of this kind, what the member sends now and later. */
  mute(owner: Owner, kind: Kind, on: boolean): Promise<void>;
  get(trackId: string): Track | undefined;
  list(): Track[];
  /** Those that are heard in one of the room's routers, loudest first, all of them each time. */
  volumes(routerId: string, volumes: Volume[]): void;
}

export const TRACKS_PER_MEMBER = 8;
export const CONSUMERS_PER_MEMBER = 200;
const LABEL_LENGTH = 100;
/** libwebrtc ignores a request within 300 ms of the last, and mediasoup repeats it only after a second. */
const KEY_FRAME_INTERVAL_MS = 350;
const HIGHEST_TEMPORAL_LAYER = 2;

export function createTracks(
  emit: <E extends keyof RoomEvents>(event: E, value: RoomEvents[E]) => void,
  log: Logger,
): Tracks {
  const tracks = new Map<string, Track>();
  const heard = new Map<string, Volume[]>();

  async function prepare(
    owner: Owner,
    relay: Relay,
    transport: Transport,
    { kind, rtpParameters, label = owner.label, id }: Publication,
  ): Promise<Track> {
    if (!owner.isOpen()) throw gone();
    if (!owner.grants.publish) throw new MediaError('not_permitted', 'You may only watch here');
    if (owner.published >= TRACKS_PER_MEMBER) {
      throw new MediaError('too_many', `A member may send ${TRACKS_PER_MEMBER} tracks at once`, {
        limit: 'tracks',
      });
    }
    owner.published += 1;
    const release = () => {
      owner.published -= 1;
    };
    const producer = await transport
      .produce({
        ...(id !== undefined && { id }),
        kind,
        rtpParameters,
        paused: owner.muted.has(kind),
        keyFrameRequestDelay: KEY_FRAME_INTERVAL_MS,
      })
      .catch((error: unknown) => {
        release();
        throw engineError(error);
      });
    producer.observer.once('close', release);
    const track: Track = {
      owner,
      producer,
      relay,
      info: () => ({
        trackId: producer.id,
        memberId: owner.id,
        kind,
        ...(label && { label: label.slice(0, LABEL_LENGTH) }),
        paused: producer.paused,
      }),
    };
    if (!owner.isOpen() || transport.closed) {
      producer.close();
      throw gone();
    }
    // Muted while it was being made.
    await settle(track);
    return track;
  }

  /** Pauses or resumes until it is as its owner was told to be last, which may change on the way. */
  async function settle(track: Track): Promise<void> {
    const { producer, owner } = track;
    while (!producer.closed && producer.paused !== owner.muted.has(producer.kind)) {
      await setPaused(producer, !producer.paused);
      if (!producer.closed && tracks.has(producer.id)) emit('trackPaused', track.info());
    }
  }

  function announce(track: Track): void {
    const { producer, relay } = track;
    if (producer.closed) return;
    tracks.set(producer.id, track);
    producer.observer.once('close', () => {
      tracks.delete(producer.id);
      emit('trackEnd', track.info());
    });
    if (producer.kind === 'audio') {
      relay.levels.addProducer({ producerId: producer.id }).catch((error: unknown) => {
        if (!producer.closed) log.warn({ err: error }, 'a track is not listened to for speech');
      });
    }
    emit('track', track.info());
  }

  async function subscribe(
    owner: Owner,
    relay: Relay,
    transport: Transport,
    { trackId, rtpCapabilities, mid }: Subscription,
  ): Promise<{ consumer: Consumer; track: Track }> {
    if (!owner.isOpen()) throw gone();
    if (!owner.grants.subscribe) throw new MediaError('not_permitted', 'You may only send here');
    const track = tracks.get(trackId);
    if (!track) throw new MediaError('unknown_track', `There is no track ${trackId} in this room`);
    if (owner.consumers.size + owner.consuming >= CONSUMERS_PER_MEMBER) {
      throw new MediaError(
        'too_many',
        `A member may get ${CONSUMERS_PER_MEMBER} tracks at once; close some`,
        { limit: 'consumers' },
      );
    }
    owner.consuming += 1;
    try {
      const consumer = await transport.consume({
        producerId: await relay.producerFor(track.relay, track.producer),
        rtpCapabilities,
        paused: true,
        ...(mid !== undefined && { mid }),
        preferredLayers: layers(owner),
      });
      if (!owner.isOpen() || track.producer.closed || consumer.closed) {
        consumer.close();
        throw gone();
      }
      owner.consumers.add(consumer);
      consumer.observer.once('close', () => owner.consumers.delete(consumer));
      return { consumer, track };
    } catch (error) {
      if (track.producer.closed) {
        throw new MediaError('unknown_track', `The track ${trackId} has ended`);
      }
      throw engineError(error);
    } finally {
      owner.consuming -= 1;
    }
  }

  return {
    prepare,
    announce,
    subscribe,
    async publish(...publication) {
      const track = await prepare(...publication);
      announce(track);
      return track;
    },
    async mute(owner, kind, on) {
      if (on) owner.muted.add(kind);
      else owner.muted.delete(kind);
      const own = [...tracks.values()].filter(
        (track) => track.owner === owner && track.producer.kind === kind,
      );
      await Promise.all(own.map(settle));
    },
    get: (trackId) => tracks.get(trackId),
    list: () => [...tracks.values()],
    volumes(routerId, volumes) {
      heard.set(routerId, volumes);
      const speakers = [...heard.values()].flat().flatMap(({ producerId, volume }) => {
        const track = tracks.get(producerId);
        return track ? [{ memberId: track.owner.id, trackId: producerId, volume }] : [];
      });
      emit(
        'speakers',
        speakers.sort((a, b) => b.volume - a.volume),
      );
    },
  };
}

/** For every consumer of this member; those without layers do not mind. */
export function layers({ maxLayer }: Owner) {
  return { spatialLayer: maxLayer, temporalLayer: HIGHEST_TEMPORAL_LAYER };
}

async function setPaused(producer: Producer, paused: boolean): Promise<void> {
  try {
    await (paused ? producer.pause() : producer.resume());
  } catch (error) {
    // Closed meanwhile; one that is gone is silent too.
    if (!producer.closed) throw engineError(error);
  }
}

function gone(): MediaError {
  return new MediaError('closed', 'You are no longer in this room');
}
