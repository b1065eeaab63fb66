import type { RtpCodecParameters } from 'mediasoup/types';
import type { Kind } from '../provider.js';
import {
  type CommonCodec,
  type Congestion,
  describedCodecs,
  mainCodec,
  meaningOf,
  rtxCodec,
} from './codecs.js';
import type { Extension } from './extensions.js';
import type { RemoteLine } from './offer.js';
import { CNAME } from './sending.js';
import { streamId } from './stream-id.js';
import type { SdpConsumer, SdpProducer, SdpTrack } from './transport.js';
import type { ClosedLine, LocalLine, LocalStream } from './write.js';

/**
 * One media section of the connection, in the order both sides agreed on. Never changed in place while something may
 * still fail: a negotiation works on copies and puts them into effect at its end.
 */
export interface Slot {
  readonly mid: string;
  readonly media: string;
  readonly kind: Kind;
  protocol: string;
  formats: string;
  /** Port 0, from either side; the client may open it again in an offer. */
  closed: boolean;
  /** What the client last offered here; undefined: the line is ours and no offer of the client has repeated it yet. */
  offered: RemoteLine | undefined;
  /** Whether the client takes what we send here. */
  receives: boolean;
  /** In the numbers of this line: on our own lines the router's. */
  codec: CommonCodec | undefined;
  extensions: readonly Extension[];
  producer: SdpProducer | undefined;
  /** What the producer was made with, to notice when the client sends something else. */
  producerKey: string;
  consumer: SdpConsumer | undefined;
  track: SdpTrack | undefined;
  /**
   * The track the client last saw here. Until it has seen the line without one, no other may take its place:
   * browsers report no new track for a line that just goes on.
   */
  told: string | undefined;
}

export function newSlot(line: Pick<Slot, 'mid' | 'media' | 'kind' | 'protocol' | 'formats'>): Slot {
  const { mid, media, kind, protocol, formats } = line;
  return {
    ...{ mid, media, kind, protocol, formats },
    closed: false,
    offered: undefined,
    receives: true,
    codec: undefined,
    extensions: [],
    producer: undefined,
    producerKey: '',
    consumer: undefined,
    track: undefined,
    told: undefined,
  };
}

/** Every number in use in the BUNDLE with its one meaning. */
export interface Numbers {
  readonly payloadTypes: ReadonlyMap<number, string>;
  readonly extensions: ReadonlyMap<number, string>;
}

export function numbersOf(slots: Iterable<Slot>): Numbers {
  const payloadTypes = new Map<number, string>();
  const extensions = new Map<number, string>();
  for (const slot of slots) {
    if (slot.closed) continue;
    for (const codec of slot.codec ? [mainOf(slot.codec), rtxCodec(slot.codec)] : []) {
      if (codec) payloadTypes.set(codec.payloadType, meaningOf(codec));
    }
    for (const { id, uri } of slot.extensions) extensions.set(id, uri);
  }
  return { payloadTypes, extensions };
}

/** False: a number of the codec already stands for another. */
export function fits({ payloadTypes }: Numbers, codec: RtpCodecParameters): boolean {
  const meaning = payloadTypes.get(codec.payloadType);
  return meaning === undefined || meaning === meaningOf(codec);
}

export function mainOf(codec: CommonCodec): RtpCodecParameters {
  return mainCodec(codec, codec.clientParameters);
}

/** Takes the consumer off a line; the track waits for another. */
export function release(slot: Slot): void {
  slot.consumer?.close();
  slot.consumer = undefined;
  slot.track = undefined;
}

export function stopProducing(slot: Slot): void {
  slot.producer?.close();
  slot.producer = undefined;
  slot.producerKey = '';
}

/** Silences a line for good, or until the client offers it anew. */
export function closeSlot(slot: Slot): void {
  release(slot);
  stopProducing(slot);
  slot.closed = true;
  slot.codec = undefined;
  slot.extensions = [];
}

export function lineOf(
  slot: Slot,
  type: 'offer' | 'answer',
  congestion: Congestion,
  startKbps: number | undefined,
): LocalLine | ClosedLine {
  const { mid, media, kind, protocol, formats, codec } = slot;
  if (slot.closed || !codec) return { closed: true, mid, media, protocol, formats };
  return {
    closed: false,
    mid,
    kind,
    protocol,
    // An answer may not send where the client will not have it; an offer may ask again.
    sends: slot.consumer !== undefined && (type === 'offer' || slot.receives),
    receives: slot.producer !== undefined,
    codecs: describedCodecs(codec, congestion, startKbps),
    extensions: slot.extensions,
    rids: slot.offered?.rids ?? [],
    stream: streamOf(slot),
  };
}

function streamOf({ consumer, track }: Slot): LocalStream | undefined {
  if (!consumer || !track) return undefined;
  const { encodings, rtcp } = consumer.rtpParameters;
  const ssrc = encodings?.[0]?.ssrc;
  if (ssrc === undefined) return undefined;
  return {
    streamId: streamId(track.memberId),
    trackId: streamId(track.trackId),
    ssrc,
    rtxSsrc: encodings?.[0]?.rtx?.ssrc,
    // A publisher's own word.
    cname: CNAME.test(rtcp?.cname ?? '') ? String(rtcp?.cname) : streamId(track.memberId),
  };
}
