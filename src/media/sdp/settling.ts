import type { RtpCapabilities } from 'mediasoup/types';
import { MediaError } from '../provider.js';
import { type CommonCodec, commonCodecs } from './codecs.js';
import { acceptedExtensions, MID, type Naming } from './extensions.js';
import type { RemoteLine } from './offer.js';
import type { Placement } from './placing.js';
import { fits, mainOf, newSlot, numbersOf, type Slot } from './slots.js';
import type { SdpConsumer, SdpTrack } from './transport.js';

/**
 * Copies of the lines as the client's offer wants them. Its order is the order: after a glare it may know lines of
 * ours that we had taken back, which are then its own.
 */
export function arrange(slots: readonly Slot[], lines: readonly RemoteLine[]): Slot[] {
  return lines.map((line) => {
    const named = line.mid === '' ? undefined : slots.find(({ mid }) => mid === line.mid);
    const old = named?.media === line.media ? named : undefined;
    if (named && !old && !line.rejected) {
      throw new MediaError('bad_sdp', `The mid "${line.mid}" was ${named.media} before.`);
    }
    const { protocol, formats, receives, rejected } = line;
    const slot = old ? { ...old } : newSlot(line);
    return Object.assign(slot, { protocol, formats, receives, offered: line, closed: rejected });
  });
}

/** Decides codec and extensions of each line; a line without a common codec is closed. */
export function settle(slots: readonly Slot[], router: RtpCapabilities): void {
  for (const slot of slots) {
    const { offered } = slot;
    if (slot.closed || !offered) continue;
    slot.codec = chooseCodec(slot, slots, router);
    if (!slot.codec) {
      slot.closed = true;
      continue;
    }
    slot.extensions = acceptedExtensions({
      kind: slot.kind,
      offered: offered.extensions,
      fixed: router.headerExtensions ?? [],
      naming: namingOf(offered),
      taken: numbersOf(slots.filter((other) => other !== slot)).extensions,
    });
  }
}

function namingOf({ sends, rids, encodings }: RemoteLine): Naming {
  if (!sends) return 'ssrc';
  if (rids.length > 0) return 'rid';
  return encodings.some(({ ssrc }) => ssrc !== undefined) ? 'ssrc' : 'mid';
}

/**
 * False: another line that sends has layers of the same names, and no mid tells them apart. The engine would take the
 * one for the other.
 */
export function isDistinct(slot: Slot, slots: readonly Slot[]): boolean {
  const names = new Set(slot.offered?.rids);
  if (names.size === 0 || slot.extensions.some(({ uri }) => uri === MID)) return true;
  return !slots.some(
    (other) =>
      other !== slot && other.producer && other.offered?.rids.some((rid) => names.has(rid)),
  );
}

/** One codec a line, so that no two lines can disagree about a number; the one that runs, as long as it is offered. */
function chooseCodec(
  slot: Slot,
  slots: readonly Slot[],
  router: RtpCapabilities,
): CommonCodec | undefined {
  const { offered, kind } = slot;
  const numbers = numbersOf(slots.filter((other) => other !== slot));
  const choices = commonCodecs(offered?.codecs ?? [], router).filter(
    (codec) => codec.kind === kind && fits(numbers, mainOf(codec)),
  );
  const [running, repair] = slot.consumer?.rtpParameters.codecs ?? [];
  if (!running) {
    const last = slot.codec?.clientPayloadType;
    return choices.find((one) => one.clientPayloadType === last) ?? choices[0];
  }
  const goesOn = choices.find((one) => one.clientPayloadType === running.payloadType);
  if (!goesOn) {
    // As if the line were empty: the track finds another.
    slot.consumer = undefined;
    slot.track = undefined;
    return choices[0];
  }
  const repairs = offered?.codecs.some(
    ({ preferredPayloadType, parameters }) =>
      preferredPayloadType === repair?.payloadType && parameters.apt === running.payloadType,
  );
  return repairs && repair ? { ...goesOn, clientRtxPayloadType: repair.payloadType } : goesOn;
}

/** Puts a consumer on the line it was placed on. */
export function occupy(
  slot: Slot,
  { track, consumer, placement }: { track: SdpTrack; consumer: SdpConsumer; placement: Placement },
): void {
  slot.consumer = consumer;
  slot.track = track;
  if (!slot.offered) slot.extensions = consumer.rtpParameters.headerExtensions ?? [];
  const sameCodec = placement.codec.clientPayloadType === slot.codec?.clientPayloadType;
  if (!slot.offered || !sameCodec) slot.codec = placement.codec;
}
