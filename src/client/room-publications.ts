import type { Connection, Sending, SendOptions } from './room-connection.js';
import type { BrowserTrack, LocalTrack } from './room-types.js';

/** What one sends, over whichever connection there is. */
export interface Publications {
  add(track: BrowserTrack, options: SendOptions): Promise<LocalTrack>;
  of(kind: 'audio' | 'video' | undefined): LocalTrack[];
  /** Sends all of it over this connection; undefined when there is none. */
  connect(connection: Connection | undefined): void;
}

export function createPublications(onError: (error: unknown) => void): Publications {
  const published = new Set<{
    local: LocalTrack;
    send(over: Connection): Promise<void>;
    /** What it was sent over is gone. */
    forget(): void;
  }>();
  let connection: Connection | undefined;

  return {
    async add(mediaStreamTrack, options) {
      let sending: Sending | undefined;
      let muted = false;

      async function send(over: Connection): Promise<void> {
        const begunMuted = muted;
        const begun = await over.send(mediaStreamTrack, {
          ...{ ...options, muted },
          onEnded: () => void local.stop().catch(onError),
        });
        if (over !== connection || !published.has(publication)) return begun.close();
        sending = begun;
        if (muted !== begunMuted) await (muted ? begun.pause() : begun.resume());
      }

      const local: LocalTrack = {
        mediaStreamTrack,
        get muted() {
          return muted;
        },
        async mute() {
          muted = true;
          await sending?.pause();
        },
        async unmute() {
          muted = false;
          await sending?.resume();
        },
        async stop() {
          published.delete(publication);
          await sending?.close();
          sending = undefined;
        },
      };
      const forget = () => {
        sending = undefined;
      };
      const publication = { local, send, forget };
      published.add(publication);
      const over = connection;
      try {
        if (over) await send(over);
      } catch (error) {
        // What a lost connection did not carry goes over the next.
        if (over === connection) {
          published.delete(publication);
          throw error;
        }
      }
      return local;
    },
    of: (kind) =>
      [...published]
        .map(({ local }) => local)
        .filter(({ mediaStreamTrack }) => kind === undefined || mediaStreamTrack.kind === kind),
    connect(to) {
      connection = to;
      for (const { send, forget } of published) {
        forget();
        if (!to) continue;
        send(to).catch((error: unknown) => {
          if (connection === to) onError(error);
        });
      }
    },
  };
}
