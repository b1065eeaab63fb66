import type { Router, RtpCodecCapability, Worker } from 'mediasoup/types';
import type { VideoCodec } from '../provider.js';
import type { DialectCodec } from '../sdp/transport.js';

const OPUS: DialectCodec = {
  kind: 'audio',
  mimeType: 'audio/opus',
  clockRate: 48_000,
  channels: 2,
  parameters: {},
  payloadType: 111,
};

/** As libwebrtc numbers them, so that the lines which Chromium offers can carry what a room sends. */
const VIDEO: Readonly<Record<VideoCodec, DialectCodec>> = {
  VP8: {
    kind: 'video',
    mimeType: 'video/VP8',
    clockRate: 90_000,
    parameters: {},
    payloadType: 96,
    rtxPayloadType: 97,
  },
  H264: {
    kind: 'video',
    mimeType: 'video/H264',
    clockRate: 90_000,
    parameters: {
      'packetization-mode': 1,
      'profile-level-id': '42e01f',
      'level-asymmetry-allowed': 1,
    },
    payloadType: 108,
    rtxPayloadType: 109,
  },
};

export function roomCodecs(video: readonly VideoCodec[]): DialectCodec[] {
  return [OPUS, ...video.map((name) => VIDEO[name])];
}

/** A router whose consumers carry exactly these payload types. */
export async function createRouter(
  worker: Worker,
  codecs: readonly DialectCodec[],
): Promise<Router> {
  const router = await worker.createRouter({
    mediaCodecs: codecs.map(({ kind, mimeType, clockRate, channels, parameters }) => ({
      kind,
      mimeType,
      clockRate,
      ...(channels !== undefined && { channels }),
      parameters,
    })),
  });
  renumber(router.rtpCapabilities.codecs ?? [], codecs);
  return router;
}

/**
 * mediasoup takes no wish for the numbers of RTX, gives them away before it has seen all others, and then refuses the
 * one that collides. Its own record of them is what every transport reads, so they are set there, before the first is made.
 */
function renumber(capabilities: RtpCodecCapability[], codecs: readonly DialectCodec[]): void {
  const taken = new Set(
    codecs.flatMap(({ payloadType, rtxPayloadType }) => [payloadType, rtxPayloadType]),
  );
  const wanted = codecs[Symbol.iterator]();
  let codec: DialectCodec | undefined;
  for (const capability of capabilities) {
    if (capability.mimeType === 'video/rtx' && codec) {
      const payloadType = codec.rtxPayloadType ?? freeNumber(taken);
      capability.preferredPayloadType = payloadType;
      capability.parameters = { ...capability.parameters, apt: codec.payloadType };
    } else {
      codec = wanted.next().value;
      if (codec) capability.preferredPayloadType = codec.payloadType;
    }
  }
}

/** The dynamic ones, and below them what libwebrtc uses when those run out (RFC 5761 forbids 64 to 95). */
function freeNumber(taken: Set<number | undefined>): number {
  for (const [first, last] of [
    [96, 127],
    [35, 63],
  ] as const) {
    for (let number = first; number <= last; number += 1) {
      if (taken.has(number)) continue;
      taken.add(number);
      return number;
    }
  }
  throw new RangeError('a router has more codecs than there are payload types');
}
