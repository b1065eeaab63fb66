import type {
  DtlsParameters,
  IceCandidate,
  IceParameters,
  RtpCapabilities,
  RtpParameters,
} from 'mediasoup/types';
import { DomainError, type ErrorCode, type ErrorDetails } from '../lib/errors.js';

/**
 * What went wrong with media, finer than an `ErrorCode`: surfaces whose protocol has codes of its own
 * (`ROOM_FULL` and the like) map from here, all others from `code`.
 */
const MEDIA_REASONS = {
  /** The text is no session description we can work with; the message says what is wrong in it. */
  bad_sdp: 'invalid_input',
  /** Larger, or with more media sections, than we read. */
  sdp_too_large: 'too_large',
  /** Valid, but nothing that can be negotiated: no BUNDLE, no rtcp-mux, other DTLS keys than before. */
  sdp_unsupported: 'invalid_input',
  /** A call that does not fit the state of the negotiation, such as an answer to nothing. */
  wrong_state: 'conflict',
  /** Parameters the engine refused: unknown codec, ssrc in use. */
  bad_media: 'invalid_input',
  not_permitted: 'forbidden',
  unknown_room: 'not_found',
  unknown_member: 'not_found',
  unknown_track: 'not_found',
  unknown_transport: 'not_found',
  member_exists: 'conflict',
  room_full: 'conflict',
  /** One of the limits on transports, tracks, consumers, rooms. */
  too_many: 'rate_limited',
  /** The room, member or connection has ended. */
  closed: 'conflict',
  /** No worker runs; may be repeated later. */
  unavailable: 'unavailable',
} as const satisfies Record<string, ErrorCode>;

export type MediaReason = keyof typeof MEDIA_REASONS;

/** The only error media throws on purpose; `code` and message are fit for the caller like any DomainError's. */
export class MediaError extends DomainError {
  readonly reason: MediaReason;

  constructor(reason: MediaReason, publicMessage: string, details: ErrorDetails = {}) {
    super(MEDIA_REASONS[reason], publicMessage, details);
    this.reason = reason;
  }
}

export type Kind = 'audio' | 'video';

export interface TrackInfo {
  trackId: string;
  memberId: string;
  kind: Kind;
  label?: string;
  /** True while its sender or a moderator has muted it. */
  paused: boolean;
}

export interface Grants {
  publish: boolean;
  subscribe: boolean;
  record: boolean;
}

export interface MemberSpec {
  /** Unique in the room; becomes the stream id of the member's tracks, reduced to `[\w-]`. */
  id: string;
  name?: string;
  /** What its tracks are called that get no name of their own. */
  label?: string;
  /** Which of the others' tracks its SDP client is shown; asked once a track. By default all. */
  shows?: (track: TrackInfo) => boolean;
  grants: Grants;
  /** The tenant; nothing crosses from one to another. */
  account: string;
}

export interface MediaProvider {
  readonly kind: 'mediasoup' | 'livekit';
  readonly can: { sdp: boolean; native: boolean; plainRtp: boolean; record: boolean };
  /** Idempotent by id. Throws MediaError `unavailable` without a worker, `too_many` over the limit of rooms. */
  openRoom(id: string, options: RoomOptions): Promise<MediaRoom>;
  room(id: string): MediaRoom | undefined;
  health(): Promise<{ ok: boolean; workers: number; detail?: string }>;
  close(): Promise<void>;
}

export interface RoomOptions {
  /** In the order of preference; a publisher that can do several sends the first. */
  codecs?: readonly VideoCodec[];
  maxMembers: number;
  /** Where senders that honour it start, in kb/s; high for cameras, which otherwise take seconds to sharpen. */
  startKbps?: number;
}

export type VideoCodec = 'VP8' | 'H264';

export interface RoomEvents {
  track: TrackInfo;
  trackEnd: TrackInfo;
  /** `paused` has changed. */
  trackPaused: TrackInfo;
  member: { memberId: string; name?: string };
  memberLeft: { memberId: string };
  /** Loudest first; volume in dBov, -127 to 0. Empty when all are silent. */
  speakers: { memberId: string; trackId: string; volume: number }[];
  closed: { reason: string };
}

export interface MediaRoom {
  readonly id: string;
  /** Throws MediaError `room_full`, `member_exists`, `closed`. */
  join(member: MemberSpec): Promise<MediaMember>;
  members(): MediaMember[];
  tracks(): TrackInfo[];
  /** Returns the function that ends the subscription. */
  on<E extends keyof RoomEvents>(event: E, listener: (value: RoomEvents[E]) => void): () => void;
  /** Idempotent; every member is told. */
  close(reason: string): Promise<void>;
}

export interface MediaMember {
  readonly id: string;
  readonly name?: string;
  /** For a plain RTCPeerConnection. */
  readonly sdp?: SdpLink;
  /** For mediasoup-client. */
  readonly native?: NativeLink;
  /** For robots that send plain RTP. */
  readonly ingest?: PlainLink;
  setQuality(quality: { maxLayer?: 0 | 1 | 2; maxKbps?: number }): Promise<void>;
  /** Stops what the member sends, of one kind, from reaching the others; the member need not agree. */
  mute(kind: Kind, on: boolean): Promise<void>;
  /** Idempotent. */
  leave(): Promise<void>;
}

export interface RemoteCandidate {
  candidate: string;
  sdpMid?: string | null;
  sdpMLineIndex?: number | null;
}

/** What one side says of its ICE. */
export interface IceSide {
  ufrag: string;
  pwd: string;
  /** Lines of a session description, `candidate:…`. */
  candidates: string[];
}

/**
 * The server's end of one client's RTCPeerConnection. Calls may overlap; they are carried out in order.
 * After the first `offer` the server may offer too, through `onOffer`.
 */
export interface SdpLink {
  /** What a description asks for, without any effect. Throws MediaError `bad_sdp`, `sdp_too_large`, `sdp_unsupported`. */
  wishesOf(sdp: string): { sends: Set<Kind>; receives: Set<Kind> };
  /**
   * The answer, or null: the offer lost a glare (the client answers ours instead) and needs none.
   * Throws MediaError `bad_sdp`, `sdp_too_large`, `sdp_unsupported`, `bad_media`, `not_permitted`, `closed`;
   * the negotiated state is then what it was before.
   */
  offer(sdp: string): Promise<string | null>;
  /** The client's answer to our last offer. Throws MediaError like `offer`, and `wrong_state` when we have none out. */
  answer(sdp: string): Promise<void>;
  /** Accepted and ignored: the server is ICE-lite and learns addresses from the checks it receives. */
  candidate(candidate: RemoteCandidate): void;
  /**
   * The client has begun ICE anew under this name, and has sent no offer to say so. Returns what our answer would have
   * said; a repeat changes nothing. Throws MediaError `wrong_state` before the first offer, `closed`.
   */
  restartIce(ufrag: string): Promise<IceSide>;
  /** Unset: this client cannot take offers (it speaks plain HTTP), so only its own lines are filled. */
  onOffer?: ((sdp: string) => void) | undefined;
}

export interface NativeTransport {
  transportId: string;
  iceParameters: IceParameters;
  iceCandidates: IceCandidate[];
  dtlsParameters: DtlsParameters;
}

export interface NativeConsumer {
  consumerId: string;
  track: TrackInfo;
  rtpParameters: RtpParameters;
}

/** mediasoup-client's questions, one method each. Every id must be one this member was given. */
export interface NativeLink {
  readonly rtpCapabilities: RtpCapabilities;
  createTransport(direction: 'send' | 'recv'): Promise<NativeTransport>;
  connect(transportId: string, dtlsParameters: DtlsParameters): Promise<void>;
  restartIce(transportId: string): Promise<IceParameters>;
  /** A repeat with the same `requestId` returns the first track. */
  produce(spec: {
    transportId: string;
    kind: Kind;
    rtpParameters: RtpParameters;
    label?: string;
    requestId?: string;
  }): Promise<TrackInfo>;
  closeTrack(trackId: string): Promise<void>;
  /** Paused until `resume`, so that no key frame is lost before the client is ready for it. */
  consume(spec: {
    transportId: string;
    trackId: string;
    rtpCapabilities: RtpCapabilities;
  }): Promise<NativeConsumer>;
  resume(consumerId: string): Promise<void>;
  pause(consumerId: string): Promise<void>;
  /** Of a track in several layers, the most it wants; less comes when the network carries no more. */
  setPreferredLayers(
    consumerId: string,
    layers: { spatialLayer: number; temporalLayer?: number },
  ): Promise<void>;
  closeConsumer(consumerId: string): Promise<void>;
}

/** Where to send plain RTP, and with which numbers. */
export interface PlainTarget {
  track: TrackInfo;
  address: string;
  rtpPort: number;
  rtcpPort: number;
  payloadType: number;
  ssrc: number;
}

export interface PlainLink {
  /** `from`: the only address packets are taken from. */
  open(spec: {
    kind: Kind;
    codec: 'opus' | VideoCodec;
    from: string;
    label?: string;
    /** It is over, for whatever reason; called once. */
    onEnd?: () => void;
  }): Promise<PlainTarget>;
  close(trackId: string): Promise<void>;
}
