import type { DtlsFingerprint } from 'mediasoup/types';
import { type IceSide, MediaError } from '../provider.js';
import { producerParameters } from './codecs.js';
import { asMediaError, createConnection } from './connection.js';
import type { RemoteDescription } from './offer.js';
import { findPlace } from './placing.js';
import { arrange, isDistinct, occupy, settle } from './settling.js';
import { closeSlot, newSlot, release, type Slot, stopProducing } from './slots.js';
import type { SdpConsumer, SdpSessionOptions, SdpTrack, SdpTransport } from './transport.js';

/** The lines of one connection and what runs on them. One call at a time; `session.ts` sees to that. */
export interface Negotiation {
  readonly fingerprint: DtlsFingerprint | undefined;
  /** Puts a client's offer into effect and returns our answer; when it throws, the lines are as before. */
  accept(offer: RemoteDescription): Promise<string>;
  /** Our offer with everything that waits, or undefined when there is nothing to tell. */
  propose(): Promise<string | undefined>;
  /** Puts the client's answer to `propose` into effect; when it throws, the offer is still out. */
  complete(answer: RemoteDescription): void;
  /** Takes back `propose`: lines the client never accepted are gone, their tracks wait again. */
  withdraw(): void;
  /** @throws MediaError `wrong_state` when there is no connection yet. */
  restartIce(ufrag: string): Promise<IceSide>;
  watch(track: SdpTrack): void;
  /** Also takes the track off its line. */
  unwatch(trackId: string): void;
  /** Whether an offer might tell the client something. */
  hasNews(): boolean;
  close(): void;
}

interface Proposal {
  /** The lines as they were. */
  before: Slot[];
  made: SdpConsumer[];
  /** By mid: the track our offer puts there. */
  tells: Map<string, string | undefined>;
}

export function createNegotiation(options: SdpSessionOptions): Negotiation {
  const { mayPublish, maySubscribe, onError } = options;
  const connection = createConnection(options, alive);
  let ownLines = 0;
  let slots: Slot[] = [];
  let proposal: Proposal | undefined;
  let isClosed = false;
  const wanted = new Map<string, SdpTrack>();
  /** Tracks not tried again until the room watches them anew. */
  const failed = new Set<string>();
  /** Codecs of lines the client refused; its next offer may know better. */
  const refused = new Set<string>();

  async function accept(offer: RemoteDescription): Promise<string> {
    const to = await connection.open(offer);
    refused.clear();
    const next = arrange(slots, offer.lines);
    const made: { close(): void }[] = [];
    try {
      settle(next, to.rtpCapabilities);
      for (const slot of next) await publish(slot, next, to, made);
      await fill(next, to, made, 'answer');
      await connection.followOffer(offer);
    } catch (error) {
      for (const one of made) one.close();
      // What had to make room for the failed ones is gone; the next offer makes it again.
      for (const slot of slots) {
        const tried = next.find(({ mid }) => mid === slot.mid);
        if (tried && tried.producer !== slot.producer) stopProducing(slot);
      }
      throw asMediaError(error, 'bad_media');
    }
    adopt(next);
    return connection.write(slots, 'answer');
  }

  function adopt(next: Slot[]): void {
    for (const { offered, track } of next) {
      // Closed by the client itself: it does not want to see this one.
      if (offered?.rejected && track) failed.add(track.trackId);
    }
    for (const slot of next) if (slot.closed) closeSlot(slot);
    const kept = new Set(next.flatMap(({ consumer, producer }) => [consumer, producer]));
    for (const { consumer, producer } of slots) {
      if (!kept.has(consumer)) consumer?.close();
      if (!kept.has(producer)) producer?.close();
    }
    slots = next;
    for (const slot of slots) {
      slot.told = slot.track?.trackId;
      flow(slot);
    }
  }

  function flow({ consumer, receives }: Slot): void {
    if (receives) consumer?.resume();
    else consumer?.pause();
  }

  async function publish(
    slot: Slot,
    next: readonly Slot[],
    to: SdpTransport,
    made: { close(): void }[],
  ): Promise<void> {
    const { offered, codec, kind } = slot;
    const sends = mayPublish && !slot.closed && isDistinct(slot, next) && offered?.sends && codec;
    const parameters = sends ? producerParameters(offered, codec, slot.extensions) : undefined;
    const key = parameters ? JSON.stringify(parameters) : '';
    if (key === slot.producerKey) return;
    // First, because the new one may bring the same ssrc.
    stopProducing(slot);
    if (!parameters) return;
    const producer = await to.produce(kind, parameters);
    made.push(producer);
    alive();
    Object.assign(slot, { producer, producerKey: key });
  }

  /** Gives each waiting track a line: one the client already has, else (in an offer) a new one. */
  async function fill(
    next: Slot[],
    to: SdpTransport,
    made: { close(): void }[],
    type: 'offer' | 'answer',
  ): Promise<void> {
    const carried = new Set(next.map(({ track }) => track?.trackId));
    for (const track of [...wanted.values()]) {
      if (carried.has(track.trackId) || !isEligible(track)) continue;
      const found = findPlace(track, next, to.rtpCapabilities, type);
      if (!found) continue;
      const { slot = ownLine(track), placement } = found;
      let consumer: SdpConsumer;
      try {
        consumer = await to.consume(track, placement.capabilities, slot.mid);
      } catch (error) {
        alive();
        failed.add(track.trackId);
        onError?.(error, track.trackId);
        continue;
      }
      made.push(consumer);
      alive();
      if (!next.includes(slot)) next.push(slot);
      occupy(slot, { track, consumer, placement });
    }
  }

  function isEligible({ trackId, codec }: SdpTrack): boolean {
    return maySubscribe && !failed.has(trackId) && !refused.has(codec.mimeType.toLowerCase());
  }

  /** Numbers are never used twice, so that an answer to an offer taken back cannot be mistaken for another. */
  function ownLine({ kind }: SdpTrack): Slot {
    let mid: string;
    do {
      mid = `s${ownLines}`;
      ownLines += 1;
    } while (slots.some((slot) => slot.mid === mid));
    return newSlot({ mid, media: kind, kind, protocol: 'UDP/TLS/RTP/SAVPF', formats: '0' });
  }

  async function propose(): Promise<string | undefined> {
    const { transport } = connection;
    if (!transport || !hasNews()) return undefined;
    const next = slots.map((slot) => ({ ...slot }));
    const made: SdpConsumer[] = [];
    try {
      await fill(next, transport, made, 'offer');
    } catch (error) {
      for (const one of made) one.close();
      throw error;
    }
    if (!next.some(isNews)) return undefined;
    proposal = {
      before: slots,
      made,
      tells: new Map(next.map(({ mid, track }) => [mid, track?.trackId])),
    };
    slots = next;
    return connection.write(slots, 'offer');
  }

  function complete({ lines }: RemoteDescription): void {
    if (lines.length !== slots.length || lines.some(({ mid }, at) => !isMid(mid, slots[at]))) {
      throw new MediaError(
        'bad_sdp',
        'The answer must have the same media sections in the same order as the offer.',
      );
    }
    const tells = proposal?.tells;
    proposal = undefined;
    for (const [at, line] of lines.entries()) {
      const slot = slots[at];
      if (!slot || slot.closed) continue;
      if (line.rejected) {
        if (slot.track) refused.add(slot.track.codec.mimeType.toLowerCase());
        closeSlot(slot);
        slot.told = undefined;
        continue;
      }
      slot.told = tells?.get(slot.mid);
      // Where we sent nothing, its answer says nothing about what it would take.
      if (slot.told !== undefined) slot.receives = line.receives;
      flow(slot);
      if (!line.sends) stopProducing(slot);
    }
  }

  function withdraw(): void {
    if (!proposal) return;
    for (const consumer of proposal.made) consumer.close();
    slots = proposal.before;
    proposal = undefined;
    sweep();
  }

  /** Takes what is no longer wanted off the lines. */
  function sweep(): void {
    for (const slot of slots) {
      if (slot.track && wanted.get(slot.track.trackId) !== slot.track) release(slot);
    }
  }

  function hasNews(): boolean {
    if (slots.some(isNews)) return true;
    const carried = new Set(slots.map(({ track }) => track?.trackId));
    return [...wanted.values()].some((track) => !carried.has(track.trackId) && isEligible(track));
  }

  function alive(): void {
    if (isClosed) throw new MediaError('closed', 'The connection has ended.');
  }

  return {
    get fingerprint() {
      return connection.fingerprint;
    },
    accept,
    propose,
    complete,
    withdraw,
    restartIce: connection.restartIce,
    watch(track) {
      failed.delete(track.trackId);
      // The first object stays, since lines are compared with it.
      if (!wanted.has(track.trackId)) wanted.set(track.trackId, track);
    },
    unwatch(trackId) {
      wanted.delete(trackId);
      failed.delete(trackId);
      sweep();
    },
    hasNews,
    close() {
      isClosed = true;
      withdraw();
      for (const slot of slots) closeSlot(slot);
      slots = [];
      wanted.clear();
    },
  };
}

function isNews({ told, track }: Slot): boolean {
  return told !== track?.trackId;
}

function isMid(mid: string, slot: Slot | undefined): boolean {
  return slot !== undefined && (mid === slot.mid || (slot.closed && mid === ''));
}
