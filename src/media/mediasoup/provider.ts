import { MediaError, type MediaProvider, type RoomOptions } from '../provider.js';
import { createPool, type PoolOptions } from './pool.js';
import type { EngineRoom } from './room.js';

export interface MediasoupOptions extends PoolOptions {
  /** False: every room is refused. */
  enabled: boolean;
  maxRooms: number;
  /** Of one room. */
  maxMembers: number;
  maxMembersPerAccount: number;
  /** What one member may send, in kb/s. */
  maxSenderKbps: number;
  /** Robots may send plain RTP, to these ports; undefined: they may not. */
  plainRtpPorts: { min: number; max: number } | undefined;
}

export interface MediasoupProvider extends MediaProvider {
  /** What is open now, and how often a worker died. */
  counts(): { rooms: number; members: number; workers: number; workerRestarts: number };
}

const SWEEP_EVERY_MS = 2_000;
const SWITCHED_OFF = 'media.enabled is false';
/** For clients that must be told something; its operator may change it. */
const SWITCHED_OFF_RETRY_MS = 60_000;

/** Rooms in mediasoup's workers on this machine. Costs nothing before the first room is opened. */
export function createMediasoupProvider(options: MediasoupOptions): MediasoupProvider {
  const { enabled, maxRooms, maxMembersPerAccount, clock, log } = options;
  const pool = createPool(options);
  const rooms = new Map<string, EngineRoom>();
  const opening = new Map<string, Promise<EngineRoom>>();
  const membersOf = new Map<string, number>();
  let closing: Promise<void> | undefined;
  let stopSweeping = () => {};

  function admit(account: string): () => void {
    const count = membersOf.get(account) ?? 0;
    if (count >= maxMembersPerAccount) {
      throw new MediaError(
        'too_many',
        `The account has ${maxMembersPerAccount} members in rooms, which is the most it may have`,
        { limit: 'media.max_members_per_account' },
      );
    }
    membersOf.set(account, count + 1);
    return () => {
      const left = (membersOf.get(account) ?? 1) - 1;
      if (left === 0) membersOf.delete(account);
      else membersOf.set(account, left);
    };
  }

  async function open(id: string, roomOptions: RoomOptions): Promise<EngineRoom> {
    const engine = await pool.choose();
    // Brings in what reads session descriptions, for servers that are never asked.
    const { createRoom } = await import('./room.js');
    const room = await createRoom({
      id,
      options: roomOptions,
      engine,
      memberLimit: options.maxMembers,
      senderKbps: options.maxSenderKbps,
      plain: options.plainRtpPorts && { ...options, ports: options.plainRtpPorts },
      admit,
      onClosed: () => {
        rooms.delete(id);
        if (rooms.size === 0) stopSweeping();
      },
      clock,
      log,
    }).catch((error: unknown) => {
      // The worker has died, or has no room for a router.
      log.error({ err: error }, 'a room could not be opened');
      throw new MediaError('unavailable', 'The room could not be opened; try again', {
        retryAfterMs: 1_000,
      });
    });
    if (closing) {
      await room.close('stopping');
      throw new MediaError('unavailable', 'Video is not available: the server is stopping');
    }
    if (rooms.size === 0) stopSweeping = clock.every(SWEEP_EVERY_MS, sweep);
    rooms.set(id, room);
    return room;
  }

  function sweep(): void {
    const nowMs = clock.now();
    for (const room of [...rooms.values()]) room.sweep(nowMs);
  }

  return {
    kind: 'mediasoup',
    can: {
      sdp: true,
      native: true,
      plainRtp: options.plainRtpPorts !== undefined,
      record: false,
    },
    async openRoom(id, roomOptions) {
      if (!enabled) {
        throw new MediaError('unavailable', `Video is not available: ${SWITCHED_OFF}`, {
          retryAfterMs: SWITCHED_OFF_RETRY_MS,
        });
      }
      const known = rooms.get(id) ?? opening.get(id);
      if (known) return known;
      if (rooms.size + opening.size >= maxRooms) {
        throw new MediaError('too_many', `There are ${maxRooms} rooms open, which is the most`, {
          limit: 'media.max_rooms',
        });
      }
      const room = open(id, roomOptions);
      opening.set(id, room);
      try {
        return await room;
      } finally {
        opening.delete(id);
      }
    },
    room: (id) => rooms.get(id),
    async health() {
      const problem = enabled ? pool.problem() : SWITCHED_OFF;
      return {
        ok: problem === undefined,
        workers: pool.running(),
        ...(problem !== undefined && { detail: problem }),
      };
    },
    counts: () => ({
      rooms: rooms.size,
      members: [...rooms.values()].reduce((sum, room) => sum + room.members().length, 0),
      workers: pool.running(),
      workerRestarts: pool.restarts(),
    }),
    close: () =>
      (closing ??= (async () => {
        for (const room of [...rooms.values()]) await room.close('stopping');
        await pool.close();
      })()),
  };
}
