import type { RtpCapabilities } from 'mediasoup/types';
import {
  assumedCodecs,
  type CommonCodec,
  commonCodecs,
  consumerCapabilities,
  isCodec,
  rtxCodec,
} from './codecs.js';
import { sentExtensions, sharedExtensions } from './extensions.js';
import { LINES_LIMIT } from './offer.js';
import { fits, mainOf, numbersOf, type Slot } from './slots.js';
import type { SdpTrack } from './transport.js';

/** Of a mid in a packet; a longer one cannot be sent. */
const MID_LIMIT_BYTES = 8;

/** How a track can go onto a line: with which codec, in the line's numbers, and how to consume it. */
export interface Placement {
  codec: CommonCodec;
  capabilities: RtpCapabilities;
}

/**
 * Where a track goes: onto a line that exists, else (in an offer) onto a new one, `slot` being undefined then.
 * Undefined: nowhere, for now.
 */
export function findPlace(
  track: SdpTrack,
  slots: readonly Slot[],
  router: RtpCapabilities,
  type: 'offer' | 'answer',
): { slot: Slot | undefined; placement: Placement } | undefined {
  for (const slot of slots) {
    const placement =
      placeOnClientLine(slot, track, slots, router) ??
      (type === 'offer' ? placeOnOwnLine(slot, track, slots, router) : undefined);
    if (placement) return { slot, placement };
  }
  if (type === 'answer' || slots.length >= LINES_LIMIT) return undefined;
  const placement = placeOnOwnLine(undefined, track, slots, router);
  return placement && { slot: undefined, placement };
}

/**
 * On a line the client has offered: packets carry the router's payload types, so the client must have given the
 * codec the same number. Undefined: it does not fit.
 */
function placeOnClientLine(
  slot: Slot,
  track: SdpTrack,
  slots: readonly Slot[],
  router: RtpCapabilities,
): Placement | undefined {
  const { offered } = slot;
  if (!offered || !isOpen(slot, track)) return undefined;
  const numbers = numbersOf(slots.filter((other) => other !== slot));
  const codec = commonCodecs(offered.codecs, router).find(
    (one) =>
      one.clientPayloadType === one.routerPayloadType &&
      isCodec(one, track.codec) &&
      fits(numbers, mainOf(one)) &&
      // What the client sends here goes on in the codec it has.
      (!slot.producer || one.clientPayloadType === slot.codec?.clientPayloadType),
  );
  if (!codec) return undefined;
  const rtx = codec.clientRtxPayloadType === codec.routerRtxPayloadType;
  const extensions = sharedExtensions(track.kind, router.headerExtensions ?? [], slot.extensions);
  return { codec, capabilities: consumerCapabilities(codec, rtx, extensions) };
}

/** On a line of ours, old or new (`slot` undefined): the router's numbers, as far as they mean nothing else to the client. */
function placeOnOwnLine(
  slot: Slot | undefined,
  track: SdpTrack,
  slots: readonly Slot[],
  router: RtpCapabilities,
): Placement | undefined {
  if (slot && (slot.offered || !isOpen(slot, track))) return undefined;
  const offered = slots.flatMap((other) =>
    other.offered && !other.offered.rejected ? [other.offered] : [],
  );
  const ofKind = offered.filter(({ kind }) => kind === track.kind);
  const known =
    ofKind.length > 0
      ? commonCodecs(
          ofKind.flatMap(({ codecs }) => codecs),
          router,
        )
      : assumedCodecs(track.kind, router);
  const common = known.find((one) => isCodec(one, track.codec));
  if (!common) return undefined;
  const numbers = numbersOf(slots.filter((other) => other !== slot));
  const { clientRtxPayloadType: _, routerRtxPayloadType, ...rest } = common;
  const plain = { ...rest, clientPayloadType: common.routerPayloadType };
  if (!fits(numbers, mainOf(plain))) return undefined;
  const repaired =
    common.clientRtxPayloadType === undefined || routerRtxPayloadType === undefined
      ? undefined
      : { ...plain, routerRtxPayloadType, clientRtxPayloadType: routerRtxPayloadType };
  const rtx = repaired && rtxCodec(repaired);
  const codec = repaired && rtx && fits(numbers, rtx) ? repaired : plain;
  const extensions = sentExtensions({
    kind: track.kind,
    fixed: router.headerExtensions ?? [],
    offered: offered.flatMap(({ kind, extensions }) =>
      extensions.map((extension) => ({ ...extension, kind })),
    ),
  });
  return { codec, capabilities: consumerCapabilities(codec, codec === repaired, extensions) };
}

function isOpen(slot: Slot, { kind }: SdpTrack): boolean {
  return (
    !slot.closed &&
    slot.kind === kind &&
    slot.receives &&
    !slot.consumer &&
    slot.told === undefined &&
    Buffer.byteLength(slot.mid) <= MID_LIMIT_BYTES
  );
}
