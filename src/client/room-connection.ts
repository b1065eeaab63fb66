import type { Device, types } from 'mediasoup-client';
import type { MediaTrack } from '../contract/media.js';
import type { RtpCapabilities } from '../contract/rtp.js';
import { reasonOf } from './errors.js';
import type { FleetClient } from './index.js';
import type { BrowserTrack, Quality } from './room-types.js';

export interface SendOptions {
  simulcast: boolean;
  label?: string;
}

interface OnceSent {
  /** Muted from its first packet on. */
  muted: boolean;
  /** The track has ended by itself, as when its device was unplugged. */
  onEnded: () => void;
}

/** Something that is sent. */
export interface Sending {
  pause(): Promise<void>;
  resume(): Promise<void>;
  close(): Promise<void>;
}

/** Something that is received. */
export interface Receiving {
  readonly mediaStreamTrack: BrowserTrack;
  setQuality(quality: Quality): Promise<void>;
  close(): void;
}

/** mediasoup-client's half of one entry into a room: a transport each way, made when the first track needs it. */
export interface Connection {
  send(track: BrowserTrack, options: SendOptions & OnceSent): Promise<Sending>;
  receive(track: MediaTrack): Promise<Receiving>;
  close(): void;
}

export interface ConnectionOptions {
  media: FleetClient['media'];
  sessionId: string;
  rtpCapabilities: RtpCapabilities;
  /** It cannot be mended. */
  onBroken: () => void;
}

/** How long a connection may find its way back by itself before ICE is restarted. */
const PATIENCE_MS = 2_000;
/** Restarts without a success in between. */
const RESTART_LIMIT = 5;
const LAYERS = { low: 0, middle: 1, high: 2 } as const;
/** For a camera of 1280 by 720; a smaller one needs less. */
const SIMULCAST: types.RtpEncodingParameters[] = [
  { rid: 'low', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'middle', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'high', scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
];
/** Otherwise Chromium begins at 300 kb/s, and takes tens of seconds to sharpen. */
const START_KBPS = 1_000;

export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { media, rtpCapabilities, onBroken } = options;
  const session = { session_id: options.sessionId };
  // Not before the first room, and not for those who never enter one.
  const mediasoup = await import('mediasoup-client');
  const device: Device = await mediasoup.Device.factory();
  await device.load({ routerRtpCapabilities: rtpCapabilities });
  const transports: Partial<Record<'send' | 'recv', Promise<types.Transport>>> = {};
  let requests = 0;
  let isOpen = true;

  function transport(direction: 'send' | 'recv'): Promise<types.Transport> {
    const known = transports[direction];
    if (known) return known;
    const opened = openTransport(direction);
    transports[direction] = opened;
    opened.catch(() => delete transports[direction]);
    return opened;
  }

  async function openTransport(direction: 'send' | 'recv'): Promise<types.Transport> {
    const made = await media.createTransport.mutate({ ...session, direction });
    const parameters = {
      id: made.transport_id,
      iceParameters: made.ice_parameters,
      iceCandidates: made.ice_candidates,
      dtlsParameters: made.dtls_parameters,
    };
    const opened =
      direction === 'send'
        ? device.createSendTransport(parameters)
        : device.createRecvTransport(parameters);
    if (!isOpen) opened.close();
    const own = { ...session, transport_id: opened.id };
    opened.on('connect', ({ dtlsParameters }, done, fail) => {
      media.connectTransport
        .mutate({ ...own, dtls_parameters: dtlsParameters })
        .then(() => done(), fail);
    });
    opened.on('produce', ({ kind, rtpParameters, appData }, done, fail) => {
      requests += 1;
      const { label, muted } = appData as { label?: string; muted: boolean };
      const request = {
        ...{ ...own, kind, rtp_parameters: rtpParameters, request_id: String(requests) },
        paused: muted,
        ...(label !== undefined && { label }),
      };
      media.produce.mutate(request).then(({ track_id }) => done({ id: track_id }), fail);
    });
    keepConnected(opened);
    return opened;
  }

  function keepConnected(kept: types.Transport): void {
    let restarts = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;

    async function restart(): Promise<void> {
      if (kept.closed) return;
      restarts += 1;
      if (restarts > RESTART_LIMIT) return onBroken();
      // Again, should this one fail; its success calls that off.
      later(PATIENCE_MS * 2 ** restarts);
      const own = { ...session, transport_id: kept.id };
      const { ice_parameters } = await media.restartIce.mutate(own);
      if (!kept.closed) await kept.restartIce({ iceParameters: ice_parameters });
    }

    function later(ms: number): void {
      clearTimeout(timer);
      timer = setTimeout(() => {
        restart().catch((error: unknown) => {
          if (reasonOf(error) === 'not_found') onBroken();
        });
      }, ms);
    }

    kept.observer.once('close', () => clearTimeout(timer));
    kept.on('connectionstatechange', (state) => {
      if (state === 'connected') {
        restarts = 0;
        clearTimeout(timer);
      } else if (state === 'disconnected') later(PATIENCE_MS);
      else if (state === 'failed') later(0);
    });
  }

  return {
    async send(track, { simulcast, label, muted, onEnded }) {
      const producer = await (await transport('send')).produce({
        track,
        ...(simulcast && track.kind === 'video' && { encodings: SIMULCAST }),
        codecOptions: { videoGoogleStartBitrate: START_KBPS },
        // The track is its giver's: neither ended nor silenced here.
        stopTracks: false,
        disableTrackOnPause: false,
        zeroRtpOnPause: true,
        appData: { label, muted },
      });
      producer.once('trackended', onEnded);
      if (muted) producer.pause();
      const own = { ...session, track_id: producer.id };
      return {
        async pause() {
          producer.pause();
          await media.pauseTrack.mutate(own);
        },
        async resume() {
          producer.resume();
          await media.resumeTrack.mutate(own);
        },
        async close() {
          producer.close();
          await media.closeTrack.mutate(own);
        },
      };
    },
    async receive({ track_id, kind }) {
      const receiver = await transport('recv');
      const { consumer_id, rtp_parameters } = await media.consume.mutate({
        ...{ ...session, track_id, transport_id: receiver.id },
        rtp_capabilities: device.recvRtpCapabilities,
      });
      const own = { ...session, consumer_id };
      const parameters = { id: consumer_id, producerId: track_id, kind };
      const consumer = await receiver
        .consume({ ...parameters, rtpParameters: rtp_parameters })
        .catch((error: unknown) => {
          media.closeConsumer.mutate(own).catch(() => {});
          throw error;
        });
      await media.resumeConsumer.mutate(own).catch((error: unknown) => {
        consumer.close();
        throw error;
      });
      return {
        mediaStreamTrack: consumer.track,
        async setQuality(quality) {
          if (quality === 'off') {
            await media.pauseConsumer.mutate(own);
            return;
          }
          await media.setPreferredLayers.mutate({ ...own, spatial_layer: LAYERS[quality] });
          await media.resumeConsumer.mutate(own);
        },
        close() {
          if (consumer.closed) return;
          consumer.close();
          // The server may have closed its own already.
          media.closeConsumer.mutate(own).catch(() => {});
        },
      };
    },
    close() {
      isOpen = false;
      for (const opened of Object.values(transports)) {
        opened.then(
          (one) => one.close(),
          () => {},
        );
      }
    },
  };
}
