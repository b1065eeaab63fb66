import type { AudioLevelObserver, Producer, Router } from 'mediasoup/types';
import type { Dialect, DialectCodec } from '../sdp/transport.js';
import { createRouter } from './codecs.js';
import type { EngineWorker } from './worker-slot.js';

/** A router of a room. */
export interface Relay {
  readonly router: Router;
  /** Audio that is listened to, to know who speaks. */
  readonly levels: AudioLevelObserver;
  /** The id under which a producer of any of the room's routers can be consumed here; carried over on first use. */
  producerFor(origin: Relay, producer: Producer): Promise<string>;
}

/**
 * The routers of a room. Consumers carry the payload types of their router, so clients that number codecs in another
 * way, and cannot be made an offer or would misread one, get a router with their numbers, fed from the others.
 */
export interface Relays {
  readonly main: Relay;
  /** The one to use for a client. It gets the main one when that fits, or when there are too many dialects already. */
  forDialect(dialect: Dialect): Promise<Relay>;
  /** Closes them with all that is in them. Idempotent. */
  close(): void;
}

export interface Volume {
  producerId: string;
  /** dBov, -127 to 0. */
  volume: number;
}

/** Browsers, GStreamer and aiortc together have fewer. */
const DIALECT_LIMIT = 6;
/** Quieter is silence. */
const SPEECH_DBOV = -80;
const SPEECH_INTERVAL_MS = 800;
const SPEAKERS = 5;

/** @throws what the engine throws; nothing stays open then. */
export async function createRelays(
  { worker }: EngineWorker,
  codecs: readonly DialectCodec[],
  /** Who is heard in one of the routers, all of them each time. */
  onVolumes: (routerId: string, volumes: Volume[]) => void,
): Promise<Relays> {
  const dialects = new Map<string, Promise<Relay>>();
  const opened: Relay[] = [];
  let closed = false;
  const main = await open(codecs);

  async function open(numbered: readonly DialectCodec[]): Promise<Relay> {
    const router = await createRouter(worker, numbered);
    try {
      const levels = await router.createAudioLevelObserver({
        maxEntries: SPEAKERS,
        threshold: SPEECH_DBOV,
        interval: SPEECH_INTERVAL_MS,
      });
      levels.on('volumes', (volumes) =>
        onVolumes(
          router.id,
          volumes.map(({ producer, volume }) => ({ producerId: producer.id, volume })),
        ),
      );
      levels.on('silence', () => onVolumes(router.id, []));
      const relay = createRelay(router, levels);
      if (closed) router.close();
      else opened.push(relay);
      return relay;
    } catch (error) {
      router.close();
      throw error;
    }
  }

  function fitsMain(dialect: Dialect): boolean {
    return dialect.codecs.every((wanted) =>
      codecs.some(
        ({ mimeType, payloadType }) =>
          mimeType.toLowerCase() === wanted.mimeType.toLowerCase() &&
          payloadType === wanted.payloadType,
      ),
    );
  }

  async function forDialect(dialect: Dialect): Promise<Relay> {
    const known = dialects.get(dialect.key);
    if (known) return known;
    if (fitsMain(dialect) || dialects.size >= DIALECT_LIMIT) return main;
    const opening = open(dialect.codecs);
    dialects.set(dialect.key, opening);
    opening.catch(() => dialects.delete(dialect.key));
    return opening;
  }

  return {
    main,
    forDialect,
    close() {
      closed = true;
      for (const { router } of opened) router.close();
    },
  };
}

function createRelay(router: Router, levels: AudioLevelObserver): Relay {
  const carried = new Map<string, Promise<string>>();

  async function carry(origin: Relay, producer: Producer): Promise<string> {
    const { pipeProducer } = await origin.router.pipeToRouter({
      producerId: producer.id,
      router,
      // Both routers are in one worker, which knows an id once.
      keepId: false,
      enableSctp: false,
    });
    if (!pipeProducer) throw new Error('the pipe carries no producer');
    return pipeProducer.id;
  }

  return {
    router,
    levels,
    async producerFor(origin, producer) {
      if (origin.router === router) return producer.id;
      const known = carried.get(producer.id);
      if (known) return known;
      const carrying = carry(origin, producer);
      carried.set(producer.id, carrying);
      carrying.catch(() => carried.delete(producer.id));
      producer.observer.once('close', () => carried.delete(producer.id));
      return carrying;
    },
  };
}
