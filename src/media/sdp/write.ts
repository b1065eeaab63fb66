import type {
  DtlsFingerprint,
  IceCandidate,
  IceParameters,
  RtpCodecParameters,
} from 'mediasoup/types';
import type { Kind } from '../provider.js';
import type { Extension } from './extensions.js';

/** A session description of ours: one transport, one line after the other in the order both sides agreed on. */
export interface LocalDescription {
  readonly sessionId: number;
  /** Grows with every description of the session. */
  readonly version: number;
  readonly ice: IceParameters;
  readonly candidates: readonly IceCandidate[];
  readonly fingerprint: DtlsFingerprint;
  /** Offers leave the choice (actpass); in answers we wait for the client's handshake, unless it waits for ours. */
  readonly setup: 'actpass' | 'passive' | 'active';
  readonly allowMixedExtensions: boolean;
  readonly lines: readonly (LocalLine | ClosedLine)[];
}

/** Refused: keeps its place, with port 0. */
export interface ClosedLine {
  readonly closed: true;
  readonly mid: string;
  readonly media: string;
  readonly protocol: string;
  readonly formats: string;
}

export interface LocalLine {
  readonly closed: false;
  readonly mid: string;
  readonly kind: Kind;
  readonly protocol: string;
  /** As seen from the server. */
  readonly sends: boolean;
  readonly receives: boolean;
  readonly codecs: readonly RtpCodecParameters[];
  readonly extensions: readonly Extension[];
  /** Layers we take. */
  readonly rids: readonly string[];
  /** What we send, when `sends`. */
  readonly stream: LocalStream | undefined;
}

export interface LocalStream {
  /** Both `[\w-]`. */
  readonly streamId: string;
  readonly trackId: string;
  readonly ssrc: number;
  readonly rtxSsrc: number | undefined;
  readonly cname: string;
}

/** The direction a line has, seen from the server. */
export function directionOf({ sends, receives }: { sends: boolean; receives: boolean }): string {
  if (sends) return receives ? 'sendrecv' : 'sendonly';
  return receives ? 'recvonly' : 'inactive';
}

/** @throws RangeError for a value that would begin a line of its own: all of them were checked when they came in. */
export function writeDescription(description: LocalDescription): string {
  const { lines, allowMixedExtensions } = description;
  const mids = lines.flatMap((line) => (line.closed ? [] : [line.mid]));
  const text = [
    'v=0',
    `o=- ${description.sessionId} ${description.version} IN IP4 127.0.0.1`,
    's=-',
    't=0 0',
    ...(mids.length > 0 ? [`a=group:BUNDLE ${mids.join(' ')}`] : []),
    ...(allowMixedExtensions ? ['a=extmap-allow-mixed'] : []),
    'a=ice-lite',
    'a=msid-semantic: WMS *',
    ...lines.flatMap((line) => (line.closed ? closedLine(line) : mediaLine(line, description))),
  ];
  const broken = text.find((line) => /[\r\n]/.test(line));
  if (broken !== undefined) throw new RangeError(`a line end within "${broken.slice(0, 20)}…"`);
  return `${text.join('\r\n')}\r\n`;
}

function closedLine({ mid, media, protocol, formats }: ClosedLine): string[] {
  return [
    `m=${media} 0 ${protocol} ${formats}`,
    'c=IN IP4 0.0.0.0',
    ...(mid === '' ? [] : [`a=mid:${mid}`]),
    'a=inactive',
  ];
}

function mediaLine(line: LocalLine, description: LocalDescription): string[] {
  const { ice, candidates, fingerprint, setup } = description;
  const { kind, protocol, codecs, stream } = line;
  return [
    `m=${kind} 9 ${protocol} ${codecs.map(({ payloadType }) => payloadType).join(' ')}`,
    'c=IN IP4 0.0.0.0',
    `a=mid:${line.mid}`,
    `a=ice-ufrag:${ice.usernameFragment}`,
    `a=ice-pwd:${ice.password}`,
    ...candidates.map((candidate) => `a=${candidateText(candidate)}`),
    'a=end-of-candidates',
    `a=fingerprint:${fingerprint.algorithm} ${fingerprint.value}`,
    `a=setup:${setup}`,
    ...line.extensions.map(
      ({ id, uri, inbound }) => `a=extmap:${id}${inbound ? '/recvonly' : ''} ${uri}`,
    ),
    `a=${directionOf(line)}`,
    ...(line.sends && stream ? [`a=msid:${stream.streamId} ${stream.trackId}`] : []),
    'a=rtcp-mux',
    'a=rtcp-rsize',
    ...codecs.flatMap(codecLines),
    ...ridLines(line),
    ...(line.sends && stream ? streamLines(stream) : []),
  ];
}

export function candidateText({ foundation, protocol, priority, ...rest }: IceCandidate): string {
  const { address, port, type, tcpType } = rest;
  const tcp = protocol === 'tcp' ? ` tcptype ${tcpType ?? 'passive'}` : '';
  return `candidate:${foundation} 1 ${protocol} ${priority} ${address} ${port} typ ${type}${tcp}`;
}

function codecLines(codec: RtpCodecParameters): string[] {
  const { payloadType, mimeType, clockRate, channels, parameters, rtcpFeedback } = codec;
  const name = mimeType.slice(mimeType.indexOf('/') + 1);
  const format = formatOf(parameters ?? {});
  return [
    `a=rtpmap:${payloadType} ${name}/${clockRate}${channels && channels > 1 ? `/${channels}` : ''}`,
    ...(rtcpFeedback ?? []).map(({ type, parameter }) =>
      `a=rtcp-fb:${payloadType} ${type} ${parameter ?? ''}`.trimEnd(),
    ),
    ...(format === '' ? [] : [`a=fmtp:${payloadType} ${format}`]),
  ];
}

/** Publishers' own words reach viewers here: nothing but what a parameter may look like. */
function formatOf(parameters: Record<string, unknown>): string {
  return Object.entries(parameters)
    .filter(([name, value]) => /^[\w-]+$/.test(name) && /^[^\s;]+$/.test(String(value ?? '')))
    .map(([name, value]) => `${name}=${value}`)
    .join(';');
}

function ridLines({ receives, rids }: LocalLine): string[] {
  if (!receives || rids.length === 0) return [];
  return [...rids.map((rid) => `a=rid:${rid} recv`), `a=simulcast:recv ${rids.join(';')}`];
}

function streamLines({ ssrc, rtxSsrc, cname, streamId, trackId }: LocalStream): string[] {
  const of = (one: number) => [
    `a=ssrc:${one} cname:${cname}`,
    `a=ssrc:${one} msid:${streamId} ${trackId}`,
  ];
  if (rtxSsrc === undefined) return of(ssrc);
  return [`a=ssrc-group:FID ${ssrc} ${rtxSsrc}`, ...of(ssrc), ...of(rtxSsrc)];
}
