import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Producer, Router, Transport, Worker } from 'mediasoup/types';
import { describe, onTestFinished } from 'vitest';
import { systemClock } from '../../src/lib/clock.js';
import { createLogger } from '../../src/lib/logger.js';
import {
  createMediasoupProvider,
  type MediasoupOptions,
  type MediasoupProvider,
} from '../../src/media/mediasoup/provider.js';
import { workerProblem } from '../../src/media/mediasoup/worker-binary.js';
import type { MediaRoom, MemberSpec } from '../../src/media/provider.js';

export const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;

const missing = workerProblem(process.env.MEDIASOUP_WORKER_BIN);

/** `describe` for tests that need mediasoup's worker; without one they are skipped, with the reason in the title. */
export function describeWithWorker(title: string, body: () => void): void {
  if (missing === undefined) describe(title, body);
  else describe.skip(`${title} (skipped: ${missing})`, body);
}

/** On 127.0.0.1, at any free ports, with one worker unless `options` says otherwise. */
export function mediaOptions(options: Partial<MediasoupOptions> = {}): MediasoupOptions {
  return {
    enabled: true,
    workers: 1,
    rtcPort: 0,
    listenIp: '127.0.0.1',
    announcedAddress: '',
    maxRooms: 1_000,
    maxMembers: 100,
    maxMembersPerAccount: 1_000,
    maxSenderKbps: 10_000,
    plainRtpPorts: undefined,
    workerBinary: process.env.MEDIASOUP_WORKER_BIN,
    clock: systemClock,
    log: createLogger('silent', { write: () => {} }),
    ...options,
  };
}

/** A provider that closes when the test ends. */
export function startMedia(options: Partial<MediasoupOptions> = {}): MediasoupProvider {
  const media = createMediasoupProvider(mediaOptions(options));
  onTestFinished(media.close);
  return media;
}

export interface Engine {
  workers: Worker[];
  routers: Router[];
  transports: Transport[];
  producers: Producer[];
}

/** All that mediasoup makes while the test runs, oldest first: what the provider keeps to itself. */
export async function watchEngine(): Promise<Engine> {
  const { observer } = await import('mediasoup');
  const workers: Worker[] = [];
  const routers: Router[] = [];
  const transports: Transport[] = [];
  const producers: Producer[] = [];
  const onWorker = (worker: Worker) => {
    workers.push(worker);
    worker.observer.on('newrouter', (router) => {
      routers.push(router);
      router.observer.on('newtransport', (transport) => {
        transports.push(transport);
        transport.observer.on('newproducer', (producer) => producers.push(producer));
      });
    });
  };
  observer.on('newworker', onWorker);
  onTestFinished(() => void observer.off('newworker', onWorker));
  return { workers, routers, transports, producers };
}

/** May send and watch. */
export function memberSpec(id: string, more: Partial<MemberSpec> = {}): MemberSpec {
  return {
    id,
    account: 'account-1',
    grants: { publish: true, subscribe: true, record: false },
    ...more,
  };
}

/** What a room says from now on, in order. */
export function listenTo(room: MediaRoom): [event: string, value: unknown][] {
  const heard: [string, unknown][] = [];
  for (const event of [
    'track',
    'trackEnd',
    'trackPaused',
    'member',
    'memberLeft',
    'closed',
  ] as const) {
    room.on(event, (value) => void heard.push([event, value]));
  }
  return heard;
}

const RTP_VERSION = 0x80;
const RTCP_PSFB = 206;

export interface RtpSender {
  /** One packet, a whole VP8 key frame; its last byte is `mark`. */
  send(port: number, mark?: number): Promise<void>;
  /** How often it was asked for a key frame (RTCP PLI, RFC 4585 6.3.1). */
  requests(): number;
}

/** A robot's camera: sends RTP from one socket of 127.0.0.1 and takes RTCP on another. */
export async function openRtpSender(
  { ssrc, payloadType }: { ssrc: number; payloadType: number },
  address = '127.0.0.1',
): Promise<RtpSender & { sendReport(port: number): Promise<void> }> {
  const [rtp, rtcp] = await Promise.all([openSocket(address), openSocket(address)]);
  let requests = 0;
  rtcp.on('message', (packet) => {
    if (packet[1] === RTCP_PSFB && (packet[0]! & 0x1f) === 1) requests += 1;
  });
  let sequence = 0;
  return {
    requests: () => requests,
    async send(port, mark = 0) {
      const packet = Buffer.alloc(12 + KEY_FRAME.length);
      packet[0] = RTP_VERSION;
      packet[1] = 0x80 | payloadType;
      packet.writeUInt16BE(sequence & 0xffff, 2);
      packet.writeUInt32BE((sequence * 3_000) >>> 0, 4);
      packet.writeUInt32BE(ssrc, 8);
      KEY_FRAME.copy(packet, 12);
      packet[packet.length - 1] = mark;
      sequence += 1;
      await new Promise<void>((sent) => rtp.send(packet, port, '127.0.0.1', () => sent()));
    },
    async sendReport(port) {
      const report = Buffer.alloc(28);
      report[0] = RTP_VERSION;
      report[1] = 200;
      report.writeUInt16BE(6, 2);
      report.writeUInt32BE(ssrc, 4);
      await new Promise<void>((sent) => rtcp.send(report, port, '127.0.0.1', () => sent()));
    },
  };
}

/** Payload descriptor and header of a VP8 key frame of 16 by 16 pixels (RFC 7741, RFC 6386). */
const KEY_FRAME = Buffer.from(`103001009d012a10001000${'00'.repeat(32)}`, 'hex');

async function openSocket(address: string) {
  const socket = createSocket('udp4');
  onTestFinished(() => void socket.close());
  socket.bind(0, address);
  await once(socket, 'listening');
  return socket;
}
