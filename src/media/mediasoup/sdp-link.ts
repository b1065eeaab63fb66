import type { WebRtcTransport } from 'mediasoup/types';
import type { SdpLink } from '../provider.js';
import { createSdpSession } from '../sdp/session.js';
import type { Dialect, SdpSession, SdpTrack, SdpTransport } from '../sdp/transport.js';
import type { MemberContext } from './member.js';
import type { Relay } from './relays.js';
import type { Track } from './tracks.js';
import { openWebRtcTransport } from './web-rtc.js';

/** One member's plain RTCPeerConnection, and those it opens after the first has ended. */
export interface SdpEnd {
  readonly link: SdpLink;
  /** Shows it a track. Its own are left out. */
  watch(track: Track): void;
  unwatch(trackId: string): void;
  sweep(nowMs: number): void;
  close(): void;
}

/** Of a client whose only sign of life is its connection. */
const CONNECT_LIMIT_MS = 30_000;

export function createSdpLink(context: MemberContext): SdpEnd {
  const { owner, tracks, relays, engine, clock, log } = context;
  let session: SdpSession | undefined;
  let transport: WebRtcTransport | undefined;
  let openedAt = 0;
  let onOffer: SdpLink['onOffer'];

  function current(): SdpSession {
    context.requireOpen();
    if (session) return session;
    session = createSdpSession({
      openTransport,
      rtpCapabilities: relays.main.router.rtpCapabilities,
      clock,
      mayPublish: owner.grants.publish,
      maySubscribe: owner.grants.subscribe,
      ...(context.startKbps !== undefined && { startKbps: context.startKbps }),
      onError: (error, trackId) =>
        log.warn({ err: error, track_id: trackId }, 'a track was left out of a connection'),
    });
    session.onOffer = onOffer;
    for (const track of tracks.list()) watch(track);
    return session;
  }

  async function openTransport(dialect: Dialect): Promise<SdpTransport> {
    // A client that takes offers is sent lines with our numbers, unless they mean something else to it.
    const takesOurs = onOffer !== undefined && dialect.fitsRoom;
    const relay = takesOurs ? relays.main : await relays.forDialect(dialect);
    const opened = await openWebRtcTransport(engine, relay, context.limits());
    context.keep(opened);
    transport = opened;
    openedAt = clock.now();
    opened.on('dtlsstatechange', (state) => {
      if (state === 'closed' || state === 'failed') end(opened);
    });
    opened.on('icestatechange', (state) => {
      if (state === 'disconnected' && !onOffer) context.leave();
    });
    opened.observer.once('close', () => {
      if (transport !== opened) return;
      transport = undefined;
      // Its next offer is that of a new connection.
      session?.close();
      session = undefined;
    });
    return adapt(opened, relay);
  }

  /** The client has closed its connection. */
  function end(opened: WebRtcTransport): void {
    if (onOffer) opened.close();
    else context.leave();
  }

  function adapt(opened: WebRtcTransport, relay: Relay): SdpTransport {
    return {
      rtpCapabilities: relay.router.rtpCapabilities,
      get iceParameters() {
        return opened.iceParameters;
      },
      iceCandidates: opened.iceCandidates,
      dtlsParameters: opened.dtlsParameters,
      connect: (dtlsParameters) => opened.connect({ dtlsParameters }),
      restartIce: async () => void (await opened.restartIce()),
      async produce(kind, rtpParameters) {
        const { producer } = await tracks.publish(owner, relay, opened, { kind, rtpParameters });
        return { trackId: producer.id, close: () => producer.close() };
      },
      async consume({ trackId }, rtpCapabilities, mid) {
        const subscription = { trackId, rtpCapabilities, mid };
        const { consumer } = await tracks.subscribe(owner, relay, opened, subscription);
        // One that has closed meanwhile stays as it is.
        const ignore = () => {};
        return {
          rtpParameters: consumer.rtpParameters,
          resume: () => void consumer.resume().catch(ignore),
          pause: () => void consumer.pause().catch(ignore),
          close: () => consumer.close(),
        };
      },
    };
  }

  function watch(track: Track): void {
    if (track.owner === owner || !context.shows(track.info())) return;
    const shown = asSdpTrack(track);
    if (shown) session?.watch(shown);
  }

  return {
    link: {
      wishesOf: (sdp) => current().wishesOf(sdp),
      offer: async (sdp) => current().offer(sdp),
      answer: async (sdp) => current().answer(sdp),
      candidate: (candidate) => session?.candidate(candidate),
      restartIce: async (ufrag) => current().restartIce(ufrag),
      get onOffer() {
        return onOffer;
      },
      set onOffer(listener) {
        onOffer = listener;
        if (session) session.onOffer = listener;
      },
    },
    watch,
    unwatch: (trackId) => session?.unwatch(trackId),
    sweep(nowMs) {
      const isUp = transport?.dtlsState === 'connected';
      if (transport && !isUp && !onOffer && nowMs - openedAt >= CONNECT_LIMIT_MS) context.leave();
    },
    close() {
      session?.close();
      session = undefined;
    },
  };
}

function asSdpTrack({ owner, producer }: Track): SdpTrack | undefined {
  const [codec] = producer.consumableRtpParameters.codecs;
  return codec && { trackId: producer.id, memberId: owner.id, kind: producer.kind, codec };
}
