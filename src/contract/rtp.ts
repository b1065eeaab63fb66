import { z } from 'zod';

/*
 * The objects of mediasoup and mediasoup-client, in their own spelling: they pass through us between the two. What clients
 * send is judged here for its shape and size, and by the engine for what it means; what the engine does not know is left
 * out. What the engine says is passed on as it is.
 */

/** More than any browser has of codecs, header extensions, feedback kinds or layers. */
const LIST_LIMIT = 100;
const TEXT_LIMIT = 256;

const Text = z.string().max(TEXT_LIMIT);
const Uint32 = z.int().min(0).max(0xffff_ffff);
const PayloadType = z.int().min(0).max(127);
const list = <T extends z.ZodType>(item: T) => z.array(item).max(LIST_LIMIT);

/** Values of `a=fmtp` and the like. */
const Parameters = z
  .record(Text, z.unknown())
  .refine((given) => Object.values(given).every(isScalar), 'values are text, numbers or booleans')
  .refine((given) => Object.keys(given).length <= LIST_LIMIT, `at most ${LIST_LIMIT} members`);

function isScalar(value: unknown): boolean {
  if (typeof value === 'string') return value.length <= TEXT_LIMIT;
  return Number.isFinite(value) || typeof value === 'boolean';
}

export const MediaKind = z.enum(['audio', 'video']);

/** Those that the engine knows; a list may name others, which are left out of it. */
const HEADER_EXTENSIONS = [
  'urn:ietf:params:rtp-hdrext:sdes:mid',
  'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id',
  'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id',
  'urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  'urn:3gpp:video-orientation',
  'urn:ietf:params:rtp-hdrext:toffset',
  'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
  'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time',
  'http://www.webrtc.org/experiments/rtp-hdrext/playout-delay',
  'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension',
] as const;
type HeaderExtension = (typeof HEADER_EXTENSIONS)[number];

function onlyKnown<T extends { uri: string }>(extensions: T[]) {
  const known: readonly string[] = HEADER_EXTENSIONS;
  return extensions.filter((one): one is T & { uri: HeaderExtension } => known.includes(one.uri));
}

const Feedback = z.object({ type: Text, parameter: Text.exactOptional() });

export const RtpCapabilities = z.object({
  codecs: list(
    z.object({
      kind: MediaKind,
      mimeType: Text,
      preferredPayloadType: PayloadType,
      clockRate: Uint32,
      channels: z.int().min(1).max(255).exactOptional(),
      parameters: Parameters.exactOptional(),
      rtcpFeedback: list(Feedback).exactOptional(),
    }),
  ).exactOptional(),
  headerExtensions: list(
    z.object({
      kind: MediaKind,
      uri: Text,
      preferredId: z.int().min(1).max(255),
      preferredEncrypt: z.boolean().exactOptional(),
      direction: z.enum(['sendrecv', 'sendonly', 'recvonly', 'inactive']).exactOptional(),
    }),
  )
    .transform(onlyKnown)
    .exactOptional(),
});
export type RtpCapabilities = z.output<typeof RtpCapabilities>;

export const RtpParameters = z.object({
  mid: Text.exactOptional(),
  codecs: list(
    z.object({
      mimeType: Text,
      payloadType: PayloadType,
      clockRate: Uint32,
      channels: z.int().min(1).max(255).exactOptional(),
      parameters: Parameters.exactOptional(),
      rtcpFeedback: list(Feedback).exactOptional(),
    }),
  ),
  headerExtensions: list(
    z.object({
      uri: Text,
      id: z.int().min(1).max(255),
      encrypt: z.boolean().exactOptional(),
      parameters: Parameters.exactOptional(),
    }),
  )
    .transform(onlyKnown)
    .exactOptional(),
  encodings: list(
    z.object({
      ssrc: Uint32.exactOptional(),
      rid: Text.exactOptional(),
      codecPayloadType: PayloadType.exactOptional(),
      rtx: z.object({ ssrc: Uint32 }).exactOptional(),
      dtx: z.boolean().exactOptional(),
      scalabilityMode: Text.exactOptional(),
      maxBitrate: Uint32.exactOptional(),
    }),
  ).exactOptional(),
  rtcp: z
    .object({ cname: Text.exactOptional(), reducedSize: z.boolean().exactOptional() })
    .exactOptional(),
});
export type RtpParameters = z.output<typeof RtpParameters>;

export const DtlsParameters = z.object({
  role: z.enum(['auto', 'client', 'server']).exactOptional(),
  fingerprints: list(
    z.object({
      algorithm: z.enum(['sha-1', 'sha-224', 'sha-256', 'sha-384', 'sha-512']),
      value: z.string().regex(/^[\dA-F]{2}(:[\dA-F]{2}){19,63}$/i, 'must be bytes in hexadecimal'),
    }),
  ).min(1),
});
export type DtlsParameters = z.output<typeof DtlsParameters>;

export interface IceParameters {
  usernameFragment: string;
  password: string;
  iceLite?: boolean;
}

export interface IceCandidate {
  foundation: string;
  priority: number;
  ip: string;
  address: string;
  protocol: 'udp' | 'tcp';
  port: number;
  type: 'host';
  tcpType?: 'passive';
}
