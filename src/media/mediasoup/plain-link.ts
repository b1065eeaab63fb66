import { randomInt, randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { PlainTransport, RtpCodecParameters } from 'mediasoup/types';
import { MediaError, type PlainLink, type PlainTarget } from '../provider.js';
import { engineError } from './engine-error.js';
import { addressFor, type ListenOptions } from './listen.js';
import type { MemberContext } from './member.js';
import type { Track } from './tracks.js';

export interface PlainOptions extends ListenOptions {
  /** First and last port that robots may be told to send to. */
  ports: { min: number; max: number };
}

type Spec = Parameters<PlainLink['open']>[0];

/** One track of a robot whose address is known, and whose ports are not. */
interface Inlet {
  readonly spec: Spec;
  readonly trackId: string;
  readonly ssrc: number;
  readonly codec: RtpCodecParameters;
  /** Undefined while its ports are opened anew. */
  gate: Gate | undefined;
  /** Packets come from the robot, so the room has the track. */
  live: boolean;
  /** When it was last seen to have sent something, in ms since the epoch. */
  heardAt: number;
  /** Packets up to then. */
  packets: number;
  strangers: number;
}

interface Gate {
  transport: PlainTransport;
  track: Track;
}

const INLETS_PER_MEMBER = 4;
/** The sender may have been started again, and sends from other ports now. */
const REOPEN_AFTER_MS = 4_000;
const SILENCE_LIMIT_MS = 30_000;
/** Times that ports are taken back from somebody else who sent to them first. */
const STRANGERS_LIMIT = 20;

/**
 * Doors for plain RTP. Not multiplexed with RTCP, since ffmpeg sends the two from two ports, and open to the first
 * sender: who that was is known afterwards. So a track is nobody's to see before its sender turns out to be the robot;
 * packets from anywhere else shut the door, and another one is opened at the same ports.
 */
export function createPlainLink(
  context: MemberContext,
  options: PlainOptions,
): PlainLink & { sweep(): void } {
  const { owner, tracks, relays, clock, log } = context;
  const inlets = new Map<string, Inlet>();
  let opening = 0;

  async function open(spec: Spec): Promise<PlainTarget> {
    context.requireOpen();
    if (isIP(spec.from) === 0) {
      throw new MediaError('bad_media', `from: got ${spec.from.slice(0, 60)}; write an IP address`);
    }
    if (inlets.size + opening >= INLETS_PER_MEMBER) {
      throw new MediaError('too_many', `A robot may send ${INLETS_PER_MEMBER} tracks at once`, {
        limit: 'tracks',
      });
    }
    const inlet: Inlet = {
      spec,
      trackId: randomUUID(),
      ssrc: randomInt(1, 2 ** 32),
      codec: codecOf(spec),
      gate: undefined,
      live: false,
      heardAt: clock.now(),
      packets: 0,
      strangers: 0,
    };
    opening += 1;
    try {
      const gate = await openGate(inlet);
      inlets.set(inlet.trackId, inlet);
      return targetOf(inlet, gate);
    } finally {
      opening -= 1;
    }
  }

  /** At these ports, or at any two of those allowed. */
  async function openGate(inlet: Inlet, ports?: { rtp: number; rtcp: number }): Promise<Gate> {
    const { spec, trackId, ssrc, codec } = inlet;
    const socket = (port: number | undefined) => ({
      protocol: 'udp' as const,
      ip: options.listenIp,
      ...(port === undefined ? { portRange: options.ports } : { port }),
    });
    const transport = await relays.main.router
      .createPlainTransport({
        rtcpMux: false,
        comedia: true,
        listenInfo: socket(ports?.rtp),
        rtcpListenInfo: socket(ports?.rtcp),
      })
      .catch(refuse);
    context.keep(transport);
    try {
      const track = await tracks.prepare(owner, relays.main, transport, {
        id: trackId,
        kind: spec.kind,
        label: spec.label,
        rtpParameters: { codecs: [codec], encodings: [{ ssrc }] },
      });
      const gate = { transport, track };
      inlet.gate = gate;
      inlet.packets = 0;
      watch(inlet, gate);
      return gate;
    } catch (error) {
      transport.close();
      throw error;
    }
  }

  function watch(inlet: Inlet, gate: Gate): void {
    const { transport, track } = gate;
    const { spec } = inlet;
    transport.on('tuple', ({ remoteIp }) => {
      if (!isSame(remoteIp, spec.from)) {
        log.warn({ from: remoteIp }, 'plain RTP from a stranger is not taken');
        inlet.strangers += 1;
        if (inlet.strangers > STRANGERS_LIMIT) return end(inlet);
        return void reopen(inlet, gate);
      }
      inlet.live = true;
      inlet.heardAt = clock.now();
      tracks.announce(track);
    });
    transport.on('rtcptuple', ({ remoteIp }) => {
      // It is sent reports about the robot's stream, of which it gets nothing.
      if (!isSame(remoteIp, spec.from)) log.warn({ from: remoteIp }, 'RTCP from a stranger');
    });
    transport.observer.once('close', () => {
      if (inlet.gate === gate) forget(inlet);
    });
  }

  /** The same ports and numbers for whoever sends next; the track ends, and begins again with the robot's packets. */
  async function reopen(inlet: Inlet, { transport }: Gate): Promise<void> {
    const ports = { rtp: transport.tuple.localPort, rtcp: transport.rtcpTuple?.localPort ?? 0 };
    inlet.gate = undefined;
    inlet.live = false;
    transport.close();
    try {
      const gate = await openGate(inlet, ports);
      // Closed by the robot meanwhile.
      if (!inlets.has(inlet.trackId)) gate.transport.close();
    } catch (error) {
      forget(inlet);
      log.warn({ err: error }, 'the ports of a robot could not be opened again');
    }
  }

  async function check(inlet: Inlet): Promise<void> {
    const { gate } = inlet;
    if (!gate) return;
    const packets = await packetsOf(gate.track);
    if (inlet.gate !== gate || gate.transport.closed) return;
    const nowMs = clock.now();
    if (packets !== inlet.packets) Object.assign(inlet, { packets, heardAt: nowMs });
    const silentMs = nowMs - inlet.heardAt;
    if (silentMs >= SILENCE_LIMIT_MS) end(inlet);
    else if (silentMs >= REOPEN_AFTER_MS && inlet.live) await reopen(inlet, gate);
  }

  function end(inlet: Inlet): void {
    forget(inlet);
    inlet.gate?.transport.close();
  }

  function forget({ trackId, spec }: Inlet): void {
    if (inlets.delete(trackId)) spec.onEnd?.();
  }

  function targetOf({ spec, codec, ssrc }: Inlet, { transport, track }: Gate): PlainTarget {
    return {
      track: track.info(),
      address: addressFor(spec.from, options, networkInterfaces()),
      rtpPort: transport.tuple.localPort,
      rtcpPort: transport.rtcpTuple?.localPort ?? 0,
      payloadType: codec.payloadType,
      ssrc,
    };
  }

  /** The room's own numbers and parameters for a codec; without RTX, which plain senders do not know. */
  function codecOf({ kind, codec }: Spec): RtpCodecParameters {
    const mimeType = `${kind}/${codec}`;
    const found = relays.main.router.rtpCapabilities.codecs?.find(
      (known) => known.mimeType.toLowerCase() === mimeType.toLowerCase(),
    );
    if (!found) throw new MediaError('bad_media', `This room takes no ${mimeType}`);
    const { preferredPayloadType, clockRate, channels, parameters, rtcpFeedback } = found;
    return {
      mimeType: found.mimeType,
      payloadType: preferredPayloadType,
      clockRate,
      ...(channels !== undefined && { channels }),
      parameters: parameters ?? {},
      rtcpFeedback: (rtcpFeedback ?? []).filter(({ type }) => type === 'nack' || type === 'ccm'),
    };
  }

  return {
    open,
    async close(trackId) {
      const inlet = inlets.get(trackId);
      if (!inlet) throw new MediaError('unknown_track', `You send no track ${trackId}`);
      end(inlet);
    },
    sweep() {
      for (const inlet of [...inlets.values()]) void check(inlet);
    },
  };
}

async function packetsOf({ producer }: Track): Promise<number> {
  try {
    const stats = await producer.getStats();
    return stats.reduce((sum, { packetCount }) => sum + packetCount, 0);
  } catch {
    // Closed meanwhile.
    return 0;
  }
}

/** An IPv4 address may come as an IPv6 one. */
function isSame(remoteIp: string | undefined, from: string): boolean {
  const plain = (ip: string) => ip.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
  return remoteIp !== undefined && plain(remoteIp) === plain(from);
}

function refuse(error: unknown): never {
  throw engineError(error);
}
