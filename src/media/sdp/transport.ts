import type {
  DtlsParameters,
  IceCandidate,
  IceParameters,
  RtpCapabilities,
  RtpCodecParameters,
  RtpParameters,
} from 'mediasoup/types';
import type { Clock } from '../../lib/clock.js';
import type { Kind, SdpLink } from '../provider.js';

/**
 * What a session needs of the engine: one WebRtcTransport, both directions, behind this small face.
 * Calls come one at a time, in order. What rejects is answered to the client as MediaError `bad_media`
 * unless it is a MediaError already.
 */
export interface SdpTransport {
  /** Of its router, payload types included: consumers carry exactly these numbers. */
  readonly rtpCapabilities: RtpCapabilities;
  /** The current ones: `restartIce` changes them. */
  readonly iceParameters: IceParameters;
  readonly iceCandidates: readonly IceCandidate[];
  readonly dtlsParameters: DtlsParameters;
  /** Once, with the client's fingerprints. `role` is the *client's* and never `auto`, as WebRtcTransport.connect wants it. */
  connect(dtlsParameters: DtlsParameters): Promise<void>;
  /** Resolves when `iceParameters` are new. */
  restartIce(): Promise<void>;
  /** The client sends this from now on; the room may be told at once. Rejects with MediaError `not_permitted` or `too_many`. */
  produce(kind: Kind, rtpParameters: RtpParameters): Promise<SdpProducer>;
  /**
   * Made **paused**, with this very `mid` (packets carry it) and these capabilities as they are:
   * header extensions or RTX that are missing in them must not be used. Rejects when the track is gone.
   */
  consume(track: SdpTrack, rtpCapabilities: RtpCapabilities, mid: string): Promise<SdpConsumer>;
}

export interface SdpProducer {
  readonly trackId: string;
  /** Idempotent. The engine may end it first; the session does not mind. */
  close(): void;
}

export interface SdpConsumer {
  /** With `mid`, one encoding (ssrc, and rtx if negotiated) and the router's payload types. */
  readonly rtpParameters: RtpParameters;
  /** The client can take packets now; asks for a key frame. Never rejects: a consumer that is gone stays gone. */
  resume(): void;
  /** The client takes none for now. */
  pause(): void;
  /** Idempotent. */
  close(): void;
}

/** A track of another member, as the room offers it to a session with `watch`. */
export interface SdpTrack {
  readonly trackId: string;
  /** Whose it is: becomes the stream id at the client (`event.streams[0].id`), reduced to `[\w-]`. */
  readonly memberId: string;
  readonly kind: Kind;
  /** `producer.consumableRtpParameters.codecs[0]`; its payload type is not looked at. */
  readonly codec: RtpCodecParameters;
}

/**
 * The numbers a client has for the codecs of a room.
 * A transport on a router with these as `preferredPayloadType` lets the client's own lines carry other members'
 * tracks; on any other router they need lines the server offers, which HTTP clients cannot take.
 */
export interface Dialect {
  /** Equal for offers whose numbers are equal. */
  readonly key: string;
  /**
   * False: the client uses a number of the room's router for another codec, so that not even a line the server
   * offers could carry what has that number there. It needs a router of its own dialect.
   */
  readonly fitsRoom: boolean;
  /** All codecs of the room, its order of preference; those the client did not mention keep the room's numbers if they can. */
  readonly codecs: readonly DialectCodec[];
}

export interface DialectCodec {
  readonly kind: Kind;
  /** Such as `video/VP8`. */
  readonly mimeType: string;
  readonly clockRate: number;
  readonly channels?: number;
  readonly parameters: Record<string, unknown>;
  readonly payloadType: number;
  readonly rtxPayloadType?: number;
}

/** Called once per session, with its first offer. */
export type OpenSdpTransport = (dialect: Dialect) => Promise<SdpTransport>;

export type SdpState = 'new' | 'stable' | 'offered' | 'held' | 'closed';

/** One client's negotiation, made by `createSdpSession` of session.ts; the room drives it with `watch` and `unwatch`. */
export interface SdpSession extends SdpLink {
  readonly state: SdpState;
  /** Of the client's DTLS certificate, such as `sha-256 AB:…`, once its first offer was read: who holds the key is the same client. */
  readonly fingerprint: string | undefined;
  /** The member should see this track. Idempotent by trackId; carried by the next answer or, about 30 ms later, an offer. */
  watch(track: SdpTrack): void;
  /** The track has ended or is no longer wanted. */
  unwatch(trackId: string): void;
  /** Closes its producers and consumers (not the transport). Idempotent; later calls throw MediaError `closed`. */
  close(): void;
}

export interface SdpSessionOptions {
  openTransport: OpenSdpTransport;
  /** Of the room, in its order of preference: what a dialect is made from. */
  rtpCapabilities: RtpCapabilities;
  clock: Clock;
  /** False: what the client wants to send is declined, line by line. */
  mayPublish: boolean;
  /** False: nothing is sent to it; `watch` is without effect. */
  maySubscribe: boolean;
  /** Put into video answers, for senders that honour it. */
  startKbps?: number;
  /** Something failed that no caller waits for: the track is left out. */
  onError?: (error: unknown, trackId: string | undefined) => void;
}
