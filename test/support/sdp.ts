import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getSupportedRtpCapabilities } from 'mediasoup';
import type { RtpCapabilities, RtpParameters } from 'mediasoup/types';
import sdpTransform, { type Section } from 'sdp-transform';
import type { Clock } from '../../src/lib/clock.js';
import { createSdpSession } from '../../src/media/sdp/session.js';
import type {
  Dialect,
  SdpConsumer,
  SdpProducer,
  SdpSessionOptions,
  SdpTrack,
  SdpTransport,
} from '../../src/media/sdp/transport.js';

const FOLDER = join(import.meta.dirname, '../fixtures/sdp');

export const FIXTURES: readonly string[] = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.sdp'))
  .map((name) => name.replace('.sdp', ''))
  .sort();

/** As on the wire, with CRLF. */
export function fixture(name: string): string {
  return readFileSync(join(FOLDER, `${name}.sdp`), 'utf8').replace(/\r?\n/g, '\r\n');
}

interface Numbers {
  opus?: number;
  vp8?: number;
  vp8Rtx?: number;
  h264?: number;
  h264Rtx?: number;
}

/** What a router of a room says, with mediasoup's own table of header extensions. */
export function routerCapabilities(numbers: Numbers = {}): RtpCapabilities {
  const { opus = 111, vp8 = 96, vp8Rtx = 97, h264 = 108, h264Rtx = 109 } = numbers;
  const videoFeedback = [
    { type: 'nack', parameter: '' },
    { type: 'nack', parameter: 'pli' },
    { type: 'ccm', parameter: 'fir' },
    { type: 'goog-remb', parameter: '' },
    { type: 'transport-cc', parameter: '' },
  ];
  const rtx = (payloadType: number, apt: number) => ({
    kind: 'video' as const,
    mimeType: 'video/rtx',
    preferredPayloadType: payloadType,
    clockRate: 90_000,
    parameters: { apt },
    rtcpFeedback: [],
  });
  return {
    codecs: [
      {
        kind: 'audio',
        mimeType: 'audio/opus',
        preferredPayloadType: opus,
        clockRate: 48_000,
        channels: 2,
        parameters: {},
        rtcpFeedback: [
          { type: 'nack', parameter: '' },
          { type: 'transport-cc', parameter: '' },
        ],
      },
      {
        kind: 'video',
        mimeType: 'video/VP8',
        preferredPayloadType: vp8,
        clockRate: 90_000,
        parameters: {},
        rtcpFeedback: videoFeedback,
      },
      rtx(vp8Rtx, vp8),
      {
        kind: 'video',
        mimeType: 'video/H264',
        preferredPayloadType: h264,
        clockRate: 90_000,
        parameters: {
          'packetization-mode': 1,
          'profile-level-id': '42e01f',
          'level-asymmetry-allowed': 1,
        },
        rtcpFeedback: videoFeedback,
      },
      rtx(h264Rtx, h264),
    ],
    headerExtensions: getSupportedRtpCapabilities().headerExtensions ?? [],
  };
}

/** The numbers of a room's router that was made for this dialect. */
export function capabilitiesFor({ codecs }: Dialect): RtpCapabilities {
  const of = (mimeType: string) => codecs.find((codec) => codec.mimeType === mimeType)!;
  return routerCapabilities({
    opus: of('audio/opus').payloadType,
    vp8: of('video/VP8').payloadType,
    vp8Rtx: of('video/VP8').rtxPayloadType!,
    h264: of('video/H264').payloadType,
    h264Rtx: of('video/H264').rtxPayloadType!,
  });
}

export interface FakeConsumer extends SdpConsumer {
  readonly track: SdpTrack;
  state: 'paused' | 'running' | 'closed';
}

export interface FakeProducer extends SdpProducer {
  readonly rtpParameters: RtpParameters;
  open: boolean;
}

/** Keeps the promises of SdpTransport, and remembers what was asked of it. */
export class FakeTransport implements SdpTransport {
  readonly iceParameters = {
    usernameFragment: 'serverufrag0000',
    password: 'serverpassword000000000000000000',
    iceLite: true,
  };
  readonly iceCandidates = [
    {
      foundation: 'udpcandidate',
      priority: 1_076_302_079,
      ip: '192.0.2.1',
      address: '192.0.2.1',
      protocol: 'udp' as const,
      port: 44_444,
      type: 'host' as const,
    },
    {
      foundation: 'tcpcandidate',
      priority: 1_076_276_479,
      ip: '192.0.2.1',
      address: '192.0.2.1',
      protocol: 'tcp' as const,
      port: 44_444,
      type: 'host' as const,
      tcpType: 'passive' as const,
    },
  ];
  readonly dtlsParameters = {
    role: 'auto' as const,
    fingerprints: [
      { algorithm: 'sha-1' as const, value: 'AA'.repeat(20).match(/../g)!.join(':') },
      { algorithm: 'sha-256' as const, value: 'BB'.repeat(32).match(/../g)!.join(':') },
    ],
  };
  readonly connects: Parameters<SdpTransport['connect']>[0][] = [];
  readonly producers: FakeProducer[] = [];
  readonly consumers: FakeConsumer[] = [];
  restarts = 0;
  /** Set to make the next call fail. */
  failure: Error | undefined;
  /** Set to make `produce` and `consume` wait. */
  gate: Promise<void> = Promise.resolve();
  readonly rtpCapabilities: RtpCapabilities;
  #ssrc = 1_000;

  constructor(rtpCapabilities: RtpCapabilities) {
    this.rtpCapabilities = rtpCapabilities;
  }

  async connect(dtlsParameters: Parameters<SdpTransport['connect']>[0]): Promise<void> {
    if (this.connects.length > 0) throw new Error('connect() was called twice');
    this.connects.push(dtlsParameters);
  }

  async restartIce(): Promise<void> {
    this.restarts += 1;
    this.iceParameters.usernameFragment = `serverufrag000${this.restarts}`;
  }

  async produce(kind: string, rtpParameters: RtpParameters): Promise<FakeProducer> {
    await this.gate;
    this.#fail();
    const ssrcs = rtpParameters.encodings?.map(({ ssrc }) => ssrc) ?? [];
    const busy = this.producers.some(
      (one) =>
        one.open && one.rtpParameters.encodings?.some(({ ssrc }) => ssrc && ssrcs.includes(ssrc)),
    );
    if (busy) throw new Error('ssrc already exists in RTP listener');
    const producer: FakeProducer = {
      trackId: `${kind}-${this.producers.length}`,
      rtpParameters,
      open: true,
      close() {
        producer.open = false;
      },
    };
    this.producers.push(producer);
    return producer;
  }

  async consume(
    track: SdpTrack,
    { codecs = [], headerExtensions = [] }: RtpCapabilities,
    mid: string,
  ): Promise<FakeConsumer> {
    await this.gate;
    this.#fail();
    if (Buffer.byteLength(mid) > 8) throw new Error(`the mid "${mid}" does not fit a packet`);
    const router = this.rtpCapabilities.codecs!;
    const ssrc = this.#ssrc;
    this.#ssrc += 2;
    const rtx = codecs.some(({ mimeType }) => mimeType.endsWith('/rtx'));
    const chosen = router.findIndex(({ mimeType }) => mimeType === track.codec.mimeType);
    const rtpParameters: RtpParameters = {
      mid,
      codecs: router.slice(chosen, rtx ? chosen + 2 : chosen + 1).map((codec) => ({
        mimeType: codec.mimeType,
        payloadType: codec.preferredPayloadType,
        clockRate: codec.clockRate,
        ...(codec.channels !== undefined && { channels: codec.channels }),
        parameters: codec.mimeType.endsWith('/rtx') ? codec.parameters! : track.codec.parameters!,
        rtcpFeedback: codec.rtcpFeedback!,
      })),
      headerExtensions: headerExtensions.map(({ uri, preferredId: id }) => ({ uri, id })),
      encodings: [{ ssrc, ...(rtx && { rtx: { ssrc: ssrc + 1 } }) }],
      rtcp: { cname: 'publisher', reducedSize: true },
    };
    const consumer: FakeConsumer = {
      track,
      rtpParameters,
      state: 'paused',
      resume() {
        if (consumer.state !== 'closed') consumer.state = 'running';
      },
      pause() {
        if (consumer.state !== 'closed') consumer.state = 'paused';
      },
      close() {
        consumer.state = 'closed';
      },
    };
    this.consumers.push(consumer);
    return consumer;
  }

  open(): FakeConsumer[] {
    return this.consumers.filter(({ state }) => state !== 'closed');
  }

  #fail(): void {
    const { failure } = this;
    this.failure = undefined;
    if (failure) throw failure;
  }
}

/** Time that stands still until told otherwise. */
export class ManualClock implements Clock {
  #now = 1_763_650_000_000;
  readonly #timers = new Set<{ at: number; intervalMs: number; task: () => void }>();

  now(): number {
    return this.#now;
  }

  every(intervalMs: number, task: () => void): () => void {
    const timer = { at: this.#now + intervalMs, intervalMs, task };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get timers(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers]) {
      while (this.#timers.has(timer) && timer.at <= this.#now) {
        timer.at += timer.intervalMs;
        timer.task();
      }
    }
  }
}

export function track(trackId: string, kind: 'audio' | 'video', memberId = 'other'): SdpTrack {
  return {
    trackId,
    memberId,
    kind,
    codec:
      kind === 'audio'
        ? {
            mimeType: 'audio/opus',
            payloadType: 111,
            clockRate: 48_000,
            channels: 2,
            parameters: {},
          }
        : { mimeType: 'video/VP8', payloadType: 96, clockRate: 90_000, parameters: {} },
  };
}

export function h264Track(trackId: string): SdpTrack {
  const parameters = { 'packetization-mode': 1, 'profile-level-id': '42c01f' };
  return {
    ...track(trackId, 'video'),
    codec: { mimeType: 'video/H264', payloadType: 108, clockRate: 90_000, parameters },
  };
}

/** Lets all that is under way come to rest. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function startSession(
  overrides: Partial<SdpSessionOptions> & { router?: RtpCapabilities } = {},
) {
  const clock = new ManualClock();
  const room = routerCapabilities();
  const transport = new FakeTransport(overrides.router ?? room);
  const offers: string[] = [];
  const errors: unknown[] = [];
  const session = createSdpSession({
    openTransport: async () => transport,
    rtpCapabilities: room,
    clock,
    mayPublish: true,
    maySubscribe: true,
    onError: (error) => errors.push(error),
    ...overrides,
  });
  session.onOffer = (sdp) => offers.push(sdp);
  /** The next offer of the server: changes are gathered first. */
  const nextOffer = async (): Promise<string> => {
    await settled();
    clock.advance(30);
    await settled();
    const offer = offers.pop();
    if (offer === undefined) throw new Error('the server made no offer');
    if (offers.length > 0) throw new Error('the server made two offers at once');
    return offer;
  };
  return { session, transport, clock, offers, errors, nextOffer };
}

export interface Line {
  mid: string;
  media: string;
  port: number;
  direction: string;
  payloadTypes: number[];
  msid: string | undefined;
  ssrcs: number[];
  section: Section;
}

/** Read by sdp-transform, not by the code under test. */
export function linesOf(sdp: string): Line[] {
  const { media } = sdpTransform.parse(sdp);
  return media.map((section) => ({
    mid: String(section.mid),
    media: String(section.type),
    port: Number(section.port),
    direction: section.direction ?? 'sendrecv',
    payloadTypes: String(section.payloads).split(' ').map(Number),
    msid: /a=msid:([\w-]+)/.exec(sectionText(sdp, String(section.mid)))?.[1],
    ssrcs: [...new Set((section.ssrcs ?? []).map(({ id }) => Number(id)))],
    section,
  }));
}

export function sectionText(sdp: string, mid: string): string {
  const sections = sdp.split(/^(?=m=)/m).slice(1);
  return sections.find((text) => text.includes(`\r\na=mid:${mid}\r\n`)) ?? '';
}

/** Numbers with two meanings within the BUNDLE, of payload types and of header extensions, and URIs with two numbers. */
export function clashes(sdp: string): string[] {
  const meanings = new Map<string, Set<string>>();
  const note = (number: string, meaning: string) => {
    meanings.set(number, (meanings.get(number) ?? new Set()).add(meaning));
  };
  for (const { port, section } of linesOf(sdp)) {
    if (port === 0) continue;
    for (const { payload, codec, rate, encoding } of section.rtp) {
      const config = section.fmtp.find((one) => one.payload === payload)?.config ?? '';
      note(`pt ${payload}`, [String(codec).toLowerCase(), rate, encoding, config].join('/'));
    }
    for (const { value, uri } of section.ext ?? []) {
      note(`ext ${value}`, String(uri));
      note(String(uri), `ext ${value}`);
    }
  }
  return [...meanings].filter(([, all]) => all.size > 1).map(([number]) => number);
}

const FLIPPED: Record<string, string> = {
  sendrecv: 'sendrecv',
  sendonly: 'recvonly',
  recvonly: 'sendonly',
  inactive: 'inactive',
};

interface AnswerOptions {
  /** By mid: what the client says instead of agreeing. */
  directions?: Record<string, string>;
  /** Mids it refuses. */
  refuse?: readonly string[];
}

/** What a client that agrees would answer: the same lines, mirrored, with its own keys. */
export function answerTo(offer: string, client: string, options: AnswerOptions = {}): string {
  const fingerprint = /a=fingerprint:.*/.exec(client)![0];
  const head = offer.split(/^(?=m=)/m)[0]!.replace('a=ice-lite\r\n', '');
  const lines = linesOf(offer);
  const kept = lines.filter(({ mid, port }) => port !== 0 && !options.refuse?.includes(mid));
  const sections = lines.map(({ mid, direction }) => {
    const text = sectionText(offer, mid)
      .replace(/a=(candidate|msid|ssrc|ssrc-group|rid|simulcast|end-of-candidates).*\r\n/g, '')
      .replace(/a=fingerprint:.*/, fingerprint)
      .replace('a=setup:actpass', 'a=setup:active')
      .replace(`a=${direction}`, `a=${options.directions?.[mid] ?? FLIPPED[direction]}`);
    return options.refuse?.includes(mid) ? text.replace(/^m=(\w+) \d+/, 'm=$1 0') : text;
  });
  return [
    head.replace(/a=group:BUNDLE.*/, `a=group:BUNDLE ${kept.map(({ mid }) => mid).join(' ')}`),
    ...sections,
  ].join('');
}

/** A later offer of the same client: its first one, then the lines the server has added, as it would repeat them. */
export function reoffer(first: string, last: string): string {
  const own = new Set(linesOf(first).map(({ mid }) => mid));
  const added = linesOf(last).filter(({ mid }) => !own.has(mid));
  const mirrored = answerTo(last, first);
  return [
    first.replace(
      /a=group:BUNDLE (.*)/,
      (_, mids) => `a=group:BUNDLE ${[mids, ...added.map(({ mid }) => mid)].join(' ')}`,
    ),
    ...added.map(({ mid }) =>
      sectionText(mirrored, mid).replace('a=setup:active', 'a=setup:actpass'),
    ),
  ].join('');
}
