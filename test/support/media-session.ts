import { onTestFinished } from 'vitest';
import type { RouterInputs, RouterOutputs } from '../../src/client/index.js';
import type { MediaEvent } from '../../src/contract/media.js';
import type { TrpcClient } from './trpc-client.js';
import { until } from './until.js';

type Joined = RouterOutputs['media']['join'];

/** A session over tRPC, listened to until the test ends. */
export interface SessionClient extends Joined {
  /** Everything that came, in order, with the id it came under. */
  heard: { id: string; event: MediaEvent }[];
  /** The first event that fits and has not been asked for yet, when it has come. */
  next<T extends MediaEvent['type']>(
    type: T,
    fits?: (event: Extract<MediaEvent, { type: T }>) => boolean,
  ): Promise<Extract<MediaEvent, { type: T }>>;
  /** Settles when the subscription has: with nothing, or with what it was refused with. */
  over: Promise<unknown>;
  stop(): void;
}

export function listen(client: TrpcClient, joined: Joined, lastEventId?: string): SessionClient {
  const heard: SessionClient['heard'] = [];
  let read = 0;
  let settle: (error?: unknown) => void = () => {};
  const over = new Promise((resolve) => {
    settle = resolve;
  });
  const input = { session_id: joined.session_id, lastEventId };
  const { unsubscribe } = client.media.events.subscribe(input, {
    onData: ({ id, data }) => void heard.push({ id, event: data }),
    onError: settle,
    onComplete: () => settle(),
  });
  onTestFinished(unsubscribe);
  return {
    ...joined,
    heard,
    over,
    stop: unsubscribe,
    next: (type, fits = () => true) =>
      until(`an event ${type}`, () => {
        const found = heard.findIndex(
          ({ event }, index) => index >= read && event.type === type && fits(event as never),
        );
        if (found < 0) return undefined;
        read = found + 1;
        return heard[found]!.event as never;
      }),
  };
}

/** The same from its beginning, once it is listened to. */
export async function joinMedia(
  client: TrpcClient,
  input: RouterInputs['media']['join'],
): Promise<SessionClient> {
  const session = listen(client, await client.media.join.mutate(input));
  await until('the first event', () => session.heard.length > 0);
  return session;
}

const FINGERPRINT = { algorithm: 'sha-256', value: Array(32).fill('AB').join(':') } as const;

/** As mediasoup-client asks for it. */
export const dtls = { role: 'client' as const, fingerprints: [FINGERPRINT] };

/** As mediasoup-client sends it for a camera. */
export function camera(ssrc = 1_111) {
  return {
    kind: 'video' as const,
    rtp_parameters: {
      mid: String(ssrc),
      codecs: [{ mimeType: 'video/VP8', payloadType: 100, clockRate: 90_000 }],
      encodings: [{ ssrc }],
    },
  };
}
