import { once } from 'node:events';
import { observer } from 'mediasoup';
import type { Worker } from 'mediasoup/types';
import { systemClock } from '../../src/lib/clock.js';
import { createLogger } from '../../src/lib/logger.js';
import {
  createMediasoupProvider,
  type MediasoupProvider,
} from '../../src/media/mediasoup/provider.js';

export interface Engine {
  media: MediasoupProvider;
  /** The one worker that it has, from the first room on. */
  worker: Promise<Worker>;
}

/** The server's video rooms without the server: on loopback, with one worker, and without limits that a count here meets. */
export function openEngine(): Engine {
  const worker = once(observer, 'newworker').then(([started]) => started as Worker);
  const media = createMediasoupProvider({
    enabled: true,
    workers: 1,
    rtcPort: 0,
    listenIp: '127.0.0.1',
    announcedAddress: '',
    maxRooms: 10_000,
    maxMembers: 1_000,
    maxMembersPerAccount: 100_000,
    maxSenderKbps: 10_000,
    plainRtpPorts: { min: 30_000, max: 39_999 },
    workerBinary: process.env.MEDIASOUP_WORKER_BIN,
    clock: systemClock,
    log: createLogger('warn', process.stdout),
  });
  return { media, worker };
}

export function memberSpec(id: string) {
  return { id, account: 'bench', grants: { publish: true, subscribe: true, record: false } };
}
