import { randomBytes, randomInt } from 'node:crypto';
import type { Config } from '../config.js';
import type { Principal } from '../contract/access.js';
import { toInstant } from '../contract/common.js';
import { type NewRoom, PASS_PREFIX, type Room } from '../contract/rooms.js';
import type { Db } from '../db/client.js';
import {
  countRooms,
  deleteExpiredRooms,
  findRoom,
  insertRoom,
  type RoomAsker,
  type RoomRow,
} from '../db/repositories/rooms.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Logger } from '../lib/logger.js';
import type { Meetings } from './meetings.js';
import { hashToken } from './principals.js';

/** Who asks for a room, once it is known that they may ask at all: an account, the holder of a room's pass, or a guest. */
export interface Visitor {
  principal: Principal | null;
  pass: string | undefined;
}

/** What tells one visitor's credential from another's; null without one that is theirs alone, as a pass is not. */
export function credentialIdOf({ principal }: Visitor): string | null {
  return principal && (principal.key_id ?? principal.account_id);
}

/** Video rooms. Their ids cannot be guessed; who knows one of a room of another account has no use for it. */
export interface Rooms {
  /**
   * A room that expires; null makes one of nobody.
   * @throws DomainError `conflict` when the account has as many as it may have.
   */
  create(principal: Principal | null): Promise<Omit<NewRoom, 'url'>>;
  /** @throws DomainError `not_found` for a room that is not there, has expired, or is not for this visitor. */
  get(visitor: Visitor, roomId: string): Promise<Room>;
  /** The room that this visitor may enter. @throws DomainError as `get`, and as `create` where rooms are born so. */
  enter(visitor: Visitor, roomId: string): Promise<RoomRow>;
  /** Ends and deletes what has expired. Returns the number of rooms. */
  sweep(): Promise<number>;
  /** Sweeps now and every minute until stopped. */
  start(): () => Promise<void>;
}

export interface RoomsDeps {
  db: Db;
  clock: Clock;
  log: Logger;
  meetings: Pick<Meetings, 'participants' | 'end'>;
  settings: Pick<Config['rooms'], 'ttl' | 'per_account' | 'born_on_join'>;
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** 59 random bits. */
const ID_LENGTH = 10;
const DAY_MS = 86_400_000;
const SWEEP_EVERY_MS = 60_000;
const SLICE_ROWS = 200;

export function createRooms({ db, clock, log, meetings, settings }: RoomsDeps): Rooms {
  let sweeping: Promise<number> | undefined;

  async function assertPlace(accountId: string | null): Promise<void> {
    if ((await countRooms(db, accountId, clock.now())) < settings.per_account) return;
    throw new DomainError('conflict', `There are ${settings.per_account} rooms, the most`, {
      limit: 'rooms.per_account',
    });
  }

  async function add(accountId: string | null, id: string, pass: string | null) {
    await assertPlace(accountId);
    const created_at = clock.now();
    const room: RoomRow = {
      id,
      account_id: accountId,
      pass_hash: pass === null ? null : hashToken(pass),
      created_at,
      expires_at: created_at + settings.ttl,
    };
    return (await insertRoom(db, room)) ? room : undefined;
  }

  async function find(visitor: Visitor, roomId: string): Promise<RoomRow | undefined> {
    return findRoom(db, roomId, askerOf(visitor), clock.now());
  }

  async function sweepAll(): Promise<number> {
    let total = 0;
    for (;;) {
      const ended = await deleteExpiredRooms(db, clock.now(), SLICE_ROWS);
      for (const id of ended) meetings.end(id, 'expired');
      total += ended.length;
      if (ended.length < SLICE_ROWS) return total;
    }
  }

  function sweep(): Promise<number> {
    sweeping ??= sweepAll().finally(() => {
      sweeping = undefined;
    });
    return sweeping;
  }

  return {
    async create(principal) {
      const pass = principal && PASS_PREFIX + randomBytes(24).toString('base64url');
      for (;;) {
        const room = await add(principal?.account_id ?? null, randomId(), pass);
        if (!room) continue;
        return {
          room_id: room.id,
          pass,
          created_at: toInstant(room.created_at),
          expires_at: toInstant(room.expires_at),
        };
      }
    },
    async get(visitor, roomId) {
      const room = await find(visitor, roomId);
      if (!room) throw notFound();
      const participants = meetings.participants(room.id).length;
      return {
        room_id: room.id,
        active: participants > 0 || clock.now() - room.created_at < DAY_MS,
        participants,
        created_at: toInstant(room.created_at),
        expires_at: toInstant(room.expires_at),
      };
    },
    async enter(visitor, roomId) {
      const room = await find(visitor, roomId);
      if (room) return room;
      if (!settings.born_on_join || visitor.pass !== undefined) throw notFound();
      await add(visitor.principal?.account_id ?? null, roomId, null);
      const born = await find(visitor, roomId);
      if (!born) throw notFound();
      return born;
    },
    sweep,
    start() {
      const run = () =>
        void sweep().catch((error: unknown) => log.error({ err: error }, 'rooms were not swept'));
      const stop = clock.every(SWEEP_EVERY_MS, run);
      run();
      return async () => {
        stop();
        await sweeping?.catch(() => {});
      };
    },
  };
}

function askerOf({ principal, pass }: Visitor): RoomAsker {
  if (principal) return { kind: 'account', account_id: principal.account_id };
  return pass === undefined ? { kind: 'guest' } : { kind: 'pass', pass_hash: hashToken(pass) };
}

function randomId(): string {
  return Array.from({ length: ID_LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join('');
}

function notFound(): DomainError {
  return new DomainError('not_found', 'Room not found');
}
