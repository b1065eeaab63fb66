import type { RtpHeaderExtension, RtpHeaderExtensionUri } from 'mediasoup/types';
import type { Kind } from '../provider.js';

/** One header extension: what the number stands for. */
export interface Extension {
  readonly id: number;
  readonly uri: string;
  /** The client sends it and does not take it. */
  readonly inbound?: boolean;
}

/** What tells the streams a client sends on a line. */
export type Naming = 'ssrc' | 'rid' | 'mid';

export const MID = 'urn:ietf:params:rtp-hdrext:sdes:mid';
export const TRANSPORT_CC =
  'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
export const ABS_SEND_TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time';
const AUDIO_LEVEL = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
const RID = 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id';
const REPAIRED_RID = 'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id';
/** Never on packets the engine sends, so their numbers are free for the client. */
const INBOUND_ONLY = new Set([RID, REPAIRED_RID]);

/**
 * Which of the client's extensions to accept, with its numbers.
 *
 * mediasoup writes its own fixed numbers on every packet it sends, negotiated or not. A browser for which
 * such a number has another meaning misreads those packets; where it takes them for a mid, it drops them, and
 * video stays black without an error. So a number of that table is accepted with mediasoup's meaning alone.
 * Exempt are the audio level and the names of simulcast layers (misread, they do no harm), and the mid of a stream that
 * can be told by nothing else. Layers are told by their names: to accept Chromium's mid for them as well would blind it.
 *
 * @param taken the numbers of other lines: none may get a second meaning, and no URI a second number
 */
export function acceptedExtensions(options: {
  kind: Kind;
  offered: readonly Extension[];
  fixed: readonly RtpHeaderExtension[];
  /** What the streams of the line are told by. */
  naming: Naming;
  taken: ReadonlyMap<number, string>;
}): Extension[] {
  const { kind, offered, fixed, naming, taken } = options;
  const known = new Set(fixed.filter((one) => one.kind === kind).map(({ uri }) => uri as string));
  const stamped = new Map(
    fixed.filter(({ uri }) => !INBOUND_ONLY.has(uri)).map((one) => [one.preferredId, one.uri]),
  );
  const chosen = new Set<string>();
  return offered.filter(({ id, uri }) => {
    if (!known.has(uri) || chosen.has(uri) || differs(taken, id, uri)) return false;
    if (INBOUND_ONLY.has(uri) && naming !== 'rid') return false;
    const exempt =
      uri === AUDIO_LEVEL || INBOUND_ONLY.has(uri) || (uri === MID && naming === 'mid');
    if (!exempt && meansElse(stamped, id, uri)) return false;
    chosen.add(uri);
    return true;
  });
}

/**
 * Which of mediasoup's extensions a stream on its way to the client may carry on a line of ours: those the client
 * gave the very same number, and what it has never mentioned, neither number nor URI.
 *
 * One URI must keep one number in a connection, on all lines: Chromium moves its own lines to the number of ours in
 * its next offer, and its audio sender takes the whole tab with it when the number of a running extension changes
 * (seen in 156). Later versions are to refuse such descriptions. The price is that most browsers report nothing that
 * the congestion of their downlink could be told from; a dashboard with mediasoup-client has no such limit.
 *
 * @param offered by all lines of the client
 */
export function sentExtensions(options: {
  kind: Kind;
  fixed: readonly RtpHeaderExtension[];
  offered: readonly (Extension & { readonly kind: Kind })[];
}): RtpHeaderExtension[] {
  const { kind, fixed, offered } = options;
  const knowsKind = offered.some((one) => one.kind === kind);
  return fixed.filter(
    (own) =>
      own.kind === kind &&
      (own.direction === 'sendrecv' || own.direction === 'sendonly') &&
      (!knowsKind || offered.some((one) => one.kind === kind && one.uri === own.uri)) &&
      offered.every(({ id, uri }) => (id === own.preferredId) === (uri === own.uri)),
  );
}

/** On a line of the client's: those it accepted there with mediasoup's very number. */
export function sharedExtensions(
  kind: Kind,
  fixed: readonly RtpHeaderExtension[],
  negotiated: readonly Extension[],
): RtpHeaderExtension[] {
  return fixed.filter(
    (one) =>
      one.kind === kind &&
      negotiated.some(
        ({ id, uri, inbound }) => id === one.preferredId && uri === one.uri && !inbound,
      ),
  );
}

export function asParameters(
  extensions: readonly Extension[],
): { uri: RtpHeaderExtensionUri; id: number }[] {
  return extensions.map(({ id, uri }) => ({ uri: uri as RtpHeaderExtensionUri, id }));
}

function differs(meanings: ReadonlyMap<number, string>, id: number, uri: string): boolean {
  return [...meanings].some((other) => (other[0] === id) !== (other[1] === uri));
}

function meansElse(meanings: ReadonlyMap<number, string>, id: number, uri: string): boolean {
  const meaning = meanings.get(id);
  return meaning !== undefined && meaning !== uri;
}
