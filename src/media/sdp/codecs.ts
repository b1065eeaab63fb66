import type {
  RtpCapabilities,
  RtpCodecCapability,
  RtpCodecParameters,
  RtpEncodingParameters,
  RtpHeaderExtension,
  RtpParameters,
} from 'mediasoup/types';
import type { Kind } from '../provider.js';
import { ABS_SEND_TIME, asParameters, type Extension, TRANSPORT_CC } from './extensions.js';
import type { RemoteLine } from './offer.js';
import type { Dialect, DialectCodec } from './transport.js';
import { type Codec, type CommonCodec, match } from './vendor.js';

export type { CommonCodec };

/** How the client's sending rate is controlled; one way for the whole connection. */
export type Congestion = 'transport-cc' | 'goog-remb' | 'none';

/** What may be said of a codec: how to encode for us, never what a sender says of its own stream. */
const DESCRIBED_PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  'video/h264': ['level-asymmetry-allowed', 'packetization-mode', 'profile-level-id'],
  'video/vp9': ['profile-id'],
  'video/av1': ['profile', 'level-idx', 'tier'],
};
const OPUS = { minptime: 10, useinbandfec: 1 };

/** What both know, in the router's order of preference. */
export function commonCodecs(client: readonly Codec[], router: RtpCapabilities): CommonCodec[] {
  return match(client, codecsOfRouter(router));
}

/** A kind the client has not offered yet: taken to know all of the router's, with the router's numbers. */
export function assumedCodecs(kind: Kind, router: RtpCapabilities): CommonCodec[] {
  const codecs = codecsOfRouter(router).filter((codec) => codec.kind === kind);
  return match(codecs, codecs);
}

/** Whether `common` is what a producer with this codec sends, H264 profile included. */
export function isCodec(common: CommonCodec, codec: RtpCodecParameters): boolean {
  const { kind, mimeType, clockRate, channels, routerParameters: parameters } = common;
  const shared = { kind, preferredPayloadType: 96, rtcpFeedback: [] };
  const sent = {
    ...shared,
    mimeType: codec.mimeType,
    clockRate: codec.clockRate,
    ...(codec.channels !== undefined && { channels: codec.channels }),
    parameters: codec.parameters ?? {},
  };
  const known = {
    ...shared,
    mimeType,
    clockRate,
    ...(channels !== undefined && { channels }),
    parameters,
  };
  return match([sent], [known]).length > 0;
}

/**
 * All codecs of the room with the numbers `lines` give them; those the client did not mention keep the room's,
 * or get a free one where the client has that number for something else.
 */
export function dialectOf(lines: readonly RemoteLine[], room: RtpCapabilities): Dialect {
  const offered = commonCodecs(
    lines.flatMap(({ codecs }) => codecs),
    room,
  );
  const used = new Set<number>();
  const claim = (wanted: number | undefined): number | undefined => {
    if (wanted === undefined || used.has(wanted)) return undefined;
    used.add(wanted);
    return wanted;
  };
  const all = (['audio', 'video'] as const).flatMap((kind) => assumedCodecs(kind, room));
  const numbered = all.map((codec) => {
    const own = offered.find((one) => one.routerPayloadType === codec.routerPayloadType);
    return {
      codec,
      payloadType: claim(own?.clientPayloadType),
      rtxPayloadType: claim(own?.clientRtxPayloadType),
    };
  });
  const codecs = numbered.map(({ codec, payloadType, rtxPayloadType }): DialectCodec => {
    const rtx = codec.routerRtxPayloadType;
    return {
      kind: codec.kind,
      mimeType: codec.mimeType,
      clockRate: codec.clockRate,
      ...(codec.channels !== undefined && { channels: codec.channels }),
      parameters: codec.routerParameters,
      payloadType: payloadType ?? claim(codec.routerPayloadType) ?? freeNumber(used),
      ...(rtx !== undefined && {
        rtxPayloadType: rtxPayloadType ?? claim(rtx) ?? freeNumber(used),
      }),
    };
  });
  const key = codecs
    .map(({ mimeType, payloadType, rtxPayloadType }) =>
      [mimeType, payloadType, rtxPayloadType ?? '-'].join(':'),
    )
    .join(' ');
  const fitsRoom = offered.every(({ clientPayloadType, routerPayloadType }) =>
    all.every(
      (codec) =>
        codec.routerPayloadType !== clientPayloadType ||
        codec.routerPayloadType === routerPayloadType,
    ),
  );
  return { key, fitsRoom, codecs };
}

/** Dynamic numbers, from the end that clients reach last. */
function freeNumber(used: Set<number>): number {
  for (let number = 127; number >= 96; number -= 1) {
    if (used.has(number)) continue;
    used.add(number);
    return number;
  }
  throw new RangeError('a room has more codecs than there are payload types');
}

/** What the client sends on a line, as `transport.produce` wants it. */
export function producerParameters(
  line: RemoteLine,
  codec: CommonCodec,
  extensions: readonly Extension[],
): RtpParameters {
  const rtcpFeedback = feedback(codec, congestionOf(extensions));
  const codecs = withRtx({ ...mainCodec(codec, codec.clientParameters), rtcpFeedback }, codec);
  const hasRtx = codecs.length > 1;
  // Browsers make temporal layers of these two as soon as there are several spatial ones, without saying so.
  const layered =
    line.encodings.length > 1 && /^video\/(vp8|h264)$/i.test(codec.mimeType)
      ? { scalabilityMode: 'L1T3' }
      : {};
  return {
    mid: line.mid,
    codecs,
    headerExtensions: asParameters(extensions),
    encodings: line.encodings.map(
      ({ rid, ssrc, rtxSsrc }): RtpEncodingParameters => ({
        ...(rid !== undefined && { rid }),
        ...(ssrc !== undefined && { ssrc }),
        ...(hasRtx && rtxSsrc !== undefined && { rtx: { ssrc: rtxSsrc } }),
        ...layered,
      }),
    ),
    rtcp: { ...(line.cname !== undefined && { cname: line.cname }), reducedSize: true },
  };
}

/**
 * What to write about a codec into a line: it and its RTX alone, so that no number of the BUNDLE clashes, and the same
 * wherever the number stands: browsers take a number with other parameters for another codec, and lines that differ
 * in their feedback for a reason to have none.
 */
export function describedCodecs(
  codec: CommonCodec,
  congestion: Congestion,
  startKbps: number | undefined,
): RtpCodecParameters[] {
  const name = codec.mimeType.toLowerCase();
  const { clientParameters: said } = codec;
  const parameters = {
    ...(name === 'audio/opus' && OPUS),
    ...Object.fromEntries(
      (DESCRIBED_PARAMETERS[name] ?? []).flatMap((key) =>
        key in said ? [[key, said[key]] as const] : [],
      ),
    ),
    ...(codec.kind === 'video' && startKbps && { 'x-google-start-bitrate': startKbps }),
  };
  const rtcpFeedback = feedback(codec, congestion);
  return withRtx({ ...mainCodec(codec, parameters), rtcpFeedback }, codec);
}

export function mainCodec(
  { mimeType, clientPayloadType, clockRate, channels }: CommonCodec,
  parameters: Record<string, unknown>,
): RtpCodecParameters {
  return {
    mimeType,
    payloadType: clientPayloadType,
    clockRate,
    ...(channels !== undefined && { channels }),
    parameters,
  };
}

export function rtxCodec(codec: CommonCodec): RtpCodecParameters | undefined {
  const { kind, clockRate, clientPayloadType, clientRtxPayloadType } = codec;
  if (clientRtxPayloadType === undefined || codec.routerRtxPayloadType === undefined) {
    return undefined;
  }
  return {
    mimeType: `${kind}/rtx`,
    payloadType: clientRtxPayloadType,
    clockRate,
    parameters: { apt: clientPayloadType },
    rtcpFeedback: [],
  };
}

function withRtx(main: RtpCodecParameters, codec: CommonCodec): RtpCodecParameters[] {
  const rtx = rtxCodec(codec);
  return rtx ? [main, rtx] : [main];
}

/** The best way the accepted extensions allow. */
export function congestionOf(extensions: readonly Extension[]): Congestion {
  const has = (uri: string) => extensions.some((one) => one.uri === uri);
  if (has(TRANSPORT_CC)) return 'transport-cc';
  return has(ABS_SEND_TIME) ? 'goog-remb' : 'none';
}

function feedback({ rtcpFeedback }: CommonCodec, congestion: Congestion) {
  return rtcpFeedback.filter(
    ({ type }) => (type !== 'transport-cc' && type !== 'goog-remb') || type === congestion,
  );
}

/** What to consume one track with: its codec alone, RTX only where its number is free for it. */
export function consumerCapabilities(
  codec: CommonCodec,
  rtx: boolean,
  headerExtensions: RtpHeaderExtension[],
): RtpCapabilities {
  const { kind, mimeType, clockRate, channels, rtcpFeedback, clientParameters } = codec;
  const main: RtpCodecCapability = {
    kind,
    mimeType,
    preferredPayloadType: codec.routerPayloadType,
    clockRate,
    ...(channels !== undefined && { channels }),
    parameters: clientParameters,
    rtcpFeedback,
  };
  if (!rtx || codec.routerRtxPayloadType === undefined) return { codecs: [main], headerExtensions };
  const repair: RtpCodecCapability = {
    kind,
    mimeType: `${kind}/rtx`,
    preferredPayloadType: codec.routerRtxPayloadType,
    clockRate,
    parameters: { apt: codec.routerPayloadType },
    rtcpFeedback: [],
  };
  return { codecs: [main, repair], headerExtensions };
}

/**
 * What a payload type stands for: equal strings may share a number within a BUNDLE. H264 profiles are not looked at;
 * publishers spell one and the same in several ways.
 */
export function meaningOf(codec: Omit<RtpCodecParameters, 'payloadType'>): string {
  const { mimeType, clockRate, channels, parameters = {} } = codec;
  return [
    mimeType.toLowerCase(),
    clockRate,
    channels ?? 1,
    parameters.apt ?? '',
    parameters['packetization-mode'] ?? 0,
    parameters['profile-id'] ?? 0,
  ].join('/');
}

function codecsOfRouter(router: RtpCapabilities): Codec[] {
  return (router.codecs ?? []).map(({ channels, ...codec }) => ({
    ...codec,
    ...(channels !== undefined && { channels }),
    parameters: codec.parameters ?? {},
    rtcpFeedback: codec.rtcpFeedback ?? [],
  }));
}
