import type { MediaTrack, Participant } from '../contract/media.js';
import type { Connection, Receiving } from './room-connection.js';
import type { Quality, RemoteTrack } from './room-types.js';

/** What others send: what there is by the server's word, and of that what is received. */
export interface RemoteTracks {
  list(): RemoteTrack[];
  /** All there are now. */
  set(tracks: readonly MediaTrack[]): void;
  put(track: MediaTrack): void;
  remove(trackId: string): void;
  /** Receives over this connection from now on; undefined ends all that is received. */
  connect(connection: Connection | undefined): void;
  setQuality(trackId: string, quality: Quality): Promise<void>;
}

export interface RemoteTracksOptions {
  participantOf: (userId: string) => Participant;
  emit: (event: 'track' | 'trackEnded' | 'trackPaused', track: RemoteTrack) => void;
  onError: (error: unknown) => void;
}

interface Reception {
  /** Set once it plays. */
  playing?: { remote: RemoteTrack; receiving: Receiving };
}

export function createRemoteTracks(options: RemoteTracksOptions): RemoteTracks {
  const { participantOf, emit, onError } = options;
  const wanted = new Map<string, MediaTrack>();
  const receptions = new Map<string, Reception>();
  let connection: Connection | undefined;

  function settle(): void {
    for (const [trackId, reception] of receptions) {
      if (!connection || !wanted.has(trackId)) end(trackId, reception);
    }
    if (!connection) return;
    for (const track of wanted.values()) {
      const reception = receptions.get(track.track_id);
      if (!reception) void begin(track.track_id, connection);
      else if (reception.playing) follow(reception.playing.remote, track);
    }
  }

  async function begin(trackId: string, over: Connection): Promise<void> {
    const reception: Reception = {};
    receptions.set(trackId, reception);
    const isWanted = () => receptions.get(trackId) === reception;
    try {
      const receiving = await over.receive(wanted.get(trackId) as MediaTrack);
      // As it is by now; it may have been muted on the way.
      const track = wanted.get(trackId);
      if (!isWanted() || !track) return receiving.close();
      const { mediaStreamTrack } = receiving;
      const remote = { ...track, participant: participantOf(track.user_id), mediaStreamTrack };
      reception.playing = { remote, receiving };
      emit('track', remote);
    } catch (error) {
      // What has ended meanwhile is no failure.
      if (isWanted()) onError(error);
    }
  }

  function follow(remote: RemoteTrack, { paused }: MediaTrack): void {
    if (remote.paused === paused) return;
    remote.paused = paused;
    emit('trackPaused', remote);
  }

  function end(trackId: string, { playing }: Reception): void {
    receptions.delete(trackId);
    if (!playing) return;
    playing.receiving.close();
    emit('trackEnded', playing.remote);
  }

  return {
    list: () =>
      [...receptions.values()].flatMap(({ playing }) => (playing ? [playing.remote] : [])),
    set(tracks) {
      wanted.clear();
      for (const track of tracks) wanted.set(track.track_id, track);
      settle();
    },
    put(track) {
      wanted.set(track.track_id, track);
      settle();
    },
    remove(trackId) {
      wanted.delete(trackId);
      settle();
    },
    connect(to) {
      connection = to;
      settle();
    },
    async setQuality(trackId, quality) {
      await receptions.get(trackId)?.playing?.receiving.setQuality(quality);
    },
  };
}
