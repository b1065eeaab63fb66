import { z } from 'zod';
import { RobotId } from '../../contract/common.js';
import { CloseRtpInput, OpenRtpInput, StreamLabel, VideoSessionId } from '../../contract/video.js';
import { DomainError } from '../../lib/errors.js';
import type { Context } from '../../routers/context.js';
import { type Row, row } from '../define.js';

const tag = 'Video';
const ROBOT = '/api/v1/robots/{robotId}';
const RobotParams = z.object({ robotId: RobotId });
const SessionParams = RobotParams.extend({ sessionId: VideoSessionId });
const Label = z.object({ label: StreamLabel.optional() });
const SDP_TYPE = 'application/sdp';
const FRAGMENT_TYPE = 'application/trickle-ice-sdpfrag';
const JPEG_TYPE = 'image/jpeg';
const sdpLimit = () => ({ bytes: 65_536, name: 'sdp_bytes' });
/** Beside the wait for a robot's picture: the time to answer. */
const PATIENCE_MS = 20_000;

/** @throws DomainError `invalid_input`. */
function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new DomainError('invalid_input', 'The body is not UTF-8 text');
  }
}

/** What a session begins with: where it is, its ICE session, and how to reach ICE servers (RFC 9725 4.2, 4.6). */
function sessionHeaders(location: string, etag: string, { services }: Context) {
  const servers = services.system.config().ice_servers.flatMap(({ urls }) => urls);
  return {
    location,
    etag: `"${etag}"`,
    'accept-patch': FRAGMENT_TYPE,
    'cache-control': 'no-store',
    ...(servers.length > 0 && {
      link: servers.map((url) => `<${url}>; rel="ice-server"`).join(', '),
    }),
  };
}

/** The rows of WHIP or WHEP: a session begins, is told of ICE, and ends. */
function sessionRows(name: 'whip' | 'whep', summaries: { open: string; end: string }): Row[] {
  const path = `/${name}/{robotId}`;
  return [
    row('POST', path, `${name}.open`, {
      summary: summaries.open,
      tag,
      params: RobotParams,
      query: Label,
      ...(name === 'whep' && { patienceMs: PATIENCE_MS }),
      raw: {
        takes: SDP_TYPE,
        limit: sdpLimit,
        toInput: ({ params, query, bytes }) => ({
          ...{ robot_id: params.robotId, sdp: textOf(bytes), label: query.label },
        }),
        toAnswer: ({ session_id, sdp, etag }, { params, ctx }) => {
          const location = `/${name}/${encodeURIComponent(params.robotId)}/${session_id}`;
          const headers = sessionHeaders(location, etag, ctx);
          return { status: 201, headers, type: SDP_TYPE, body: sdp };
        },
        answers: { 201: SDP_TYPE },
      },
    }),
    row('PATCH', `${path}/{sessionId}`, `${name}.patch`, {
      summary: 'Add candidates, which changes nothing, or begin ICE anew',
      tag,
      params: SessionParams,
      requestHeaders: z.object({ 'if-match': z.string().max(200).optional() }),
      raw: {
        takes: FRAGMENT_TYPE,
        limit: sdpLimit,
        toInput: ({ params, headers, bytes }) => ({
          ...{ robot_id: params.robotId, session_id: params.sessionId },
          ...{ fragment: textOf(bytes), if_match: headers['if-match'] },
        }),
        toAnswer: ({ fragment, etag }) => {
          const headers = { etag: `"${etag}"`, 'cache-control': 'no-store' };
          if (fragment === null) return { status: 204, headers };
          return { status: 200, headers, type: FRAGMENT_TYPE, body: fragment };
        },
        answers: { 200: FRAGMENT_TYPE, 204: null },
      },
    }),
    row('DELETE', `${path}/{sessionId}`, `${name}.end`, {
      summary: summaries.end,
      tag,
      params: SessionParams,
    }),
  ];
}

export const VIDEO: readonly Row[] = [
  ...sessionRows('whip', {
    open: "Begin to send a robot's video by WHIP (RFC 9725)",
    end: 'End a WHIP session',
  }),
  ...sessionRows('whep', {
    open: 'Begin to watch a robot by WHEP',
    end: 'End a WHEP session',
  }),
  row('GET', `${ROBOT}/streams`, 'video.streams', {
    summary: 'List what there is to watch of a robot, and how many do',
    tag,
    params: RobotParams,
  }),
  row('POST', `${ROBOT}/rtp`, 'video.openRtp', {
    summary: 'Open a door for one track of plain RTP from the address of the caller',
    tag,
    params: RobotParams,
    body: OpenRtpInput.omit({ robot_id: true }),
    missing: 'kind and codec are required',
  }),
  row('DELETE', `${ROBOT}/rtp/{trackId}`, 'video.closeRtp', {
    summary: 'Shut the door of a track of plain RTP',
    tag,
    params: RobotParams.extend({ trackId: CloseRtpInput.shape.track_id }),
  }),
  row('POST', `${ROBOT}/frames`, 'video.pushFrame', {
    summary: 'Send one JPEG frame, for cameras that have nothing else',
    tag,
    params: RobotParams,
    raw: {
      takes: JPEG_TYPE,
      limit: ({ services }) => ({
        bytes: services.robotCamera.limitBytes,
        name: 'media.jpeg_limit',
      }),
      toInput: ({ params, bytes }) => ({ robot_id: params.robotId, jpeg: bytes }),
    },
  }),
  row('GET', `${ROBOT}/snapshot`, 'video.snapshot', {
    summary: "Get the newest of a robot's JPEG frames",
    tag,
    params: RobotParams,
    urlCredential: true,
    file: {
      types: [JPEG_TYPE],
      open: async ({ ctx, principal, params: { robotId } }) => {
        const { robotCamera } = ctx.services;
        const frame = await robotCamera.latest(principal, robotId);
        return {
          contentType: JPEG_TYPE,
          tag: robotCamera.tagOf(frame),
          sizeBytes: frame.bytes.length,
          headers: { 'last-modified': new Date(frame.received_at).toUTCString() },
          read: async () => frame.bytes,
        };
      },
    },
  }),
  row('GET', `${ROBOT}/mjpeg`, 'video.snapshot', {
    summary: "Watch a robot's JPEG frames: each newest one in place of the last",
    tag,
    operation: 'video.mjpeg',
    params: RobotParams,
    urlCredential: true,
    mjpeg: ({ ctx, principal, params: { robotId }, reader }) =>
      ctx.services.robotCamera.watch(principal, robotId, reader),
  }),
];
