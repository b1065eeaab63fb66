import { extractRtpCapabilities } from 'mediasoup-client/handlers/sdp/commonUtils';
import * as ortc from 'mediasoup-client/ortc';
import sdpTransform, { type Description, type Section } from 'sdp-transform';

/**
 * The only file that knows mediasoup-client's helpers and sdp-transform. The helpers are reachable but no
 * promised API, hence exact versions in package.json and a test that pins what is relied on here.
 * All of them may throw anything on hostile input.
 */
export type { Description, Section };

export function parseText(sdp: string): Description {
  return sdpTransform.parse(sdp);
}

/** The codecs of one section, with every optional field filled in. Header extensions are not looked at. */
export function codecsOf(section: Section): Codec[] {
  const capabilities = extractRtpCapabilities({
    sdpObject: { media: [{ ...section, ext: [] }] },
  });
  ortc.validateAndNormalizeRtpCapabilities(capabilities);
  return capabilities.codecs as Codec[];
}

/** A codec as one side numbers it. */
export interface Codec {
  kind: 'audio' | 'video';
  mimeType: string;
  preferredPayloadType: number;
  clockRate: number;
  channels?: number;
  parameters: Record<string, unknown>;
  rtcpFeedback: { type: string; parameter?: string }[];
}

/** One codec both sides know, RTX apart, in both numberings. */
export interface CommonCodec {
  kind: 'audio' | 'video';
  mimeType: string;
  clockRate: number;
  channels?: number;
  clientPayloadType: number;
  clientRtxPayloadType?: number;
  routerPayloadType: number;
  routerRtxPayloadType?: number;
  /** As the client wrote them; an H264 profile-level-id is already the one both can do. */
  clientParameters: Record<string, unknown>;
  routerParameters: Record<string, unknown>;
  rtcpFeedback: { type: string; parameter?: string }[];
}

/** What `client` and `router` have in common, in the router's order of preference. */
export function match(client: readonly Codec[], router: readonly Codec[]): CommonCodec[] {
  // The matching writes profile-level-ids into what it is given.
  const extended = ortc.getExtendedRtpCapabilities(
    { codecs: structuredClone([...client]), headerExtensions: [] },
    { codecs: structuredClone([...router]), headerExtensions: [] },
    false,
  );
  return extended.codecs.map((codec) => ({
    kind: codec.kind,
    mimeType: codec.mimeType,
    clockRate: codec.clockRate,
    ...(codec.channels !== undefined && { channels: codec.channels }),
    clientPayloadType: codec.localPayloadType,
    ...(codec.localRtxPayloadType !== undefined && {
      clientRtxPayloadType: codec.localRtxPayloadType,
    }),
    routerPayloadType: codec.remotePayloadType,
    ...(codec.remoteRtxPayloadType !== undefined && {
      routerRtxPayloadType: codec.remoteRtxPayloadType,
    }),
    clientParameters: codec.localParameters,
    routerParameters: codec.remoteParameters,
    rtcpFeedback: codec.rtcpFeedback ?? [],
  }));
}
