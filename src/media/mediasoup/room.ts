import type { Clock } from '../../lib/clock.js';
import type { Logger } from '../../lib/logger.js';
import {
  MediaError,
  type MediaRoom,
  type MemberSpec,
  type RoomEvents,
  type RoomOptions,
} from '../provider.js';
import { roomCodecs } from './codecs.js';
import { createMember, type EngineMember } from './member.js';
import type { PlainOptions } from './plain-link.js';
import { createRelays } from './relays.js';
import { createTracks } from './tracks.js';
import type { EngineWorker } from './worker-slot.js';

export interface EngineRoom extends MediaRoom {
  /** Ends what has been silent for too long, and the room itself when nobody has been there for a minute. */
  sweep(nowMs: number): void;
}

export interface RoomDeps {
  id: string;
  options: RoomOptions;
  engine: EngineWorker;
  /** Most members of a room, whatever its options say. */
  memberLimit: number;
  senderKbps: number;
  plain: PlainOptions | undefined;
  /** Counts a member of this account in. @throws MediaError `too_many`. Returns the function that counts it out. */
  admit: (account: string) => () => void;
  onClosed: () => void;
  clock: Clock;
  log: Logger;
}

type Listeners = { [E in keyof RoomEvents]: Set<(value: RoomEvents[E]) => void> };

const EMPTY_LIMIT_MS = 60_000;
const ID_LENGTH = 200;

/** @throws what the engine throws; nothing stays open then. */
export async function createRoom(deps: RoomDeps): Promise<EngineRoom> {
  const { id, options, engine, clock, log } = deps;
  const memberLimit = Math.min(options.maxMembers, deps.memberLimit);
  const members = new Map<string, { member: EngineMember; countOut: () => void }>();
  const listeners: Listeners = {
    track: new Set(),
    trackEnd: new Set(),
    trackPaused: new Set(),
    member: new Set(),
    memberLeft: new Set(),
    speakers: new Set(),
    closed: new Set(),
  };
  let account: string | undefined;
  let emptySince: number | undefined = clock.now();
  let closed = false;

  function emit<E extends keyof RoomEvents>(event: E, value: RoomEvents[E]): void {
    // A room that ends says so and nothing else, though all its tracks end with it.
    if ((closed || relays.main.router.closed) && event !== 'closed') return;
    for (const listener of [...listeners[event]]) {
      try {
        listener(value);
      } catch (error) {
        log.error({ err: error, event }, 'a listener of a room failed');
      }
    }
  }

  const tracks = createTracks(emit, log);
  listeners.track.add(({ trackId }) => {
    const track = tracks.get(trackId);
    if (track) for (const { member } of members.values()) member.watch(track);
  });
  listeners.trackEnd.add(({ trackId }) => {
    for (const { member } of members.values()) member.unwatch(trackId);
  });
  const codecs = roomCodecs(options.codecs ?? ['VP8', 'H264']);
  const relays = await createRelays(engine, codecs, tracks.volumes);
  const stage = {
    engine,
    relays,
    tracks,
    senderKbps: deps.senderKbps,
    startKbps: options.startKbps,
    plain: deps.plain,
    clock,
    log,
  };

  function admit(spec: MemberSpec): EngineMember {
    if (closed) throw new MediaError('closed', 'The room has been closed');
    if (spec.id === '' || spec.id.length > ID_LENGTH) {
      throw new MediaError('bad_media', `id: write 1 to ${ID_LENGTH} characters`);
    }
    if (members.has(spec.id)) {
      throw new MediaError('member_exists', `There is a member ${spec.id} in this room already`);
    }
    if (account !== undefined && spec.account !== account) {
      throw new MediaError('not_permitted', 'The room belongs to another account');
    }
    if (members.size >= memberLimit) {
      throw new MediaError('room_full', `The room is full: it takes ${memberLimit} members`, {
        limit: 'members',
      });
    }
    const countOut = deps.admit(spec.account);
    const member = createMember(spec, stage, left);
    account = spec.account;
    emptySince = undefined;
    members.set(spec.id, { member, countOut });
    return member;
  }

  function left({ id: memberId }: EngineMember): void {
    members.get(memberId)?.countOut();
    members.delete(memberId);
    if (members.size === 0) emptySince = clock.now();
    emit('memberLeft', { memberId });
  }

  function close(reason: string): void {
    if (closed) return;
    closed = true;
    // First, so that whoever is told can open it again at once.
    deps.onClosed();
    emit('closed', { reason });
    for (const { member, countOut } of members.values()) {
      member.close();
      countOut();
    }
    members.clear();
    relays.close();
    for (const set of Object.values(listeners)) set.clear();
  }

  relays.main.router.once('workerclose', () => close('worker_lost'));

  return {
    id,
    async join(spec) {
      const member = admit(spec);
      const { id: memberId, name } = member;
      emit('member', { memberId, ...(name !== undefined && { name }) });
      return member;
    },
    members: () => [...members.values()].map(({ member }) => member),
    tracks: () => tracks.list().map((track) => track.info()),
    on(event, listener) {
      listeners[event].add(listener);
      return () => void listeners[event].delete(listener);
    },
    close: async (reason) => close(reason),
    sweep(nowMs) {
      for (const { member } of [...members.values()]) member.sweep(nowMs);
      if (emptySince !== undefined && nowMs - emptySince >= EMPTY_LIMIT_MS) close('empty');
    },
  };
}
