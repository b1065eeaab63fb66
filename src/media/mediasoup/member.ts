import type { Transport, WebRtcTransport } from 'mediasoup/types';
import type { Clock } from '../../lib/clock.js';
import type { Logger } from '../../lib/logger.js';
import { MediaError, type MediaMember, type MemberSpec, type TrackInfo } from '../provider.js';
import { createNativeLink } from './native-link.js';
import { createPlainLink, type PlainOptions } from './plain-link.js';
import type { Relays } from './relays.js';
import { createSdpLink } from './sdp-link.js';
import { layers, type Owner, type Track, type Tracks } from './tracks.js';
import { limitViewer } from './web-rtc.js';
import type { EngineWorker } from './worker-slot.js';

/** What a room gives its members. */
export interface Stage {
  engine: EngineWorker;
  relays: Relays;
  tracks: Tracks;
  /** What one member may send, in kb/s. */
  senderKbps: number;
  /** Where senders that honour it start, in kb/s. */
  startKbps: number | undefined;
  /** Undefined while plain RTP is not allowed. */
  plain: PlainOptions | undefined;
  clock: Clock;
  log: Logger;
}

/** What a member gives its links. */
export interface MemberContext extends Stage {
  owner: Owner;
  shows: (track: TrackInfo) => boolean;
  /** Closes it when the member leaves. */
  keep(transport: Transport): void;
  /** @throws MediaError `closed` after the member has left. */
  requireOpen(): void;
  limits(): { senderKbps: number; viewerKbps: number };
  /** The client is gone for good, and nobody else will notice. */
  leave(): void;
}

export interface EngineMember extends MediaMember {
  readonly account: string;
  /** Its SDP client is shown this track from now on. */
  watch(track: Track): void;
  unwatch(trackId: string): void;
  /** Ends what has been silent for too long. */
  sweep(nowMs: number): void;
  /** Ends all its connections; nobody is told. Idempotent. */
  close(): void;
}

const HIGHEST_LAYER = 2;

/** @param onLeave called once, when it leaves by itself */
export function createMember(
  spec: MemberSpec,
  stage: Stage,
  onLeave: (member: EngineMember) => void,
): EngineMember {
  const { id, name, grants, account, label, shows = () => true } = spec;
  const transports = new Set<Transport>();
  let open = true;
  let viewerKbps = 0;
  const owner: Owner = {
    id,
    grants,
    label,
    isOpen: () => open,
    muted: new Set(),
    maxLayer: HIGHEST_LAYER,
    published: 0,
    consumers: new Set(),
    consuming: 0,
  };
  const context: MemberContext = {
    ...stage,
    owner,
    shows,
    keep(transport) {
      if (!open) {
        transport.close();
        throw gone();
      }
      transports.add(transport);
      transport.observer.once('close', () => transports.delete(transport));
    },
    requireOpen() {
      if (!open) throw gone();
    },
    limits: () => ({ senderKbps: stage.senderKbps, viewerKbps }),
    leave: () => leave(),
  };
  const sdp = createSdpLink(context);
  const ingest = stage.plain && createPlainLink(context, stage.plain);

  function leave(): void {
    if (!open) return;
    close();
    onLeave(member);
  }

  function close(): void {
    open = false;
    sdp.close();
    for (const transport of transports) transport.close();
  }

  const member: EngineMember = {
    id,
    ...(name !== undefined && { name }),
    account,
    sdp: sdp.link,
    native: createNativeLink(context),
    ...(ingest && { ingest }),
    async setQuality({ maxLayer = HIGHEST_LAYER, maxKbps = 0 }) {
      context.requireOpen();
      owner.maxLayer = maxLayer;
      viewerKbps = maxKbps;
      await Promise.all([
        ...[...owner.consumers].map((consumer) => consumer.setPreferredLayers(layers(owner))),
        ...[...transports].filter(isWebRtc).map((transport) => limitViewer(transport, maxKbps)),
      ]).catch((error: unknown) => {
        // One that has just been closed needs no limit.
        stage.log.debug({ err: error }, 'the quality of a connection was not changed');
      });
    },
    async mute(kind, on) {
      context.requireOpen();
      await stage.tracks.mute(owner, kind, on);
    },
    leave: async () => leave(),
    watch: sdp.watch,
    unwatch: sdp.unwatch,
    sweep(nowMs) {
      sdp.sweep(nowMs);
      ingest?.sweep();
    },
    close,
  };
  return member;
}

function isWebRtc(transport: Transport): transport is WebRtcTransport {
  return transport.type === 'webrtc';
}

function gone(): MediaError {
  return new MediaError('closed', 'You are no longer in this room');
}
