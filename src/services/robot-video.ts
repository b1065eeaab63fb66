import { randomBytes } from 'node:crypto';
import type { Principal, Scope } from '../contract/access.js';
import { toInstant } from '../contract/common.js';
import type { ViewersFrame } from '../contract/video.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Logger } from '../lib/logger.js';
import type {
  Grants,
  MediaMember,
  MediaProvider,
  MediaRoom,
  TrackInfo,
} from '../media/provider.js';
import type { Fleet, FleetRobot } from './fleet.js';
import { endWithCredential, type LiveReader } from './live.js';
import type { RobotViewers, ViewersNotice } from './robot-viewers.js';

/** `publish` sends a robot's picture and sound, and gets none; `watch` gets them, and sends none. */
export type VideoRole = 'publish' | 'watch';

/**
 * - `left_alone`: its connection has ended, or it has been silent for too long;
 * - `access_ended`: its credential has, or the robot was deleted;
 * - `room_closed`: the server stops, or the worker died; one may come again at once.
 */
export type VideoEnd = 'left_alone' | 'access_ended' | 'room_closed';

export interface VideoSpec {
  role: VideoRole;
  /** Who it is, for people. */
  name?: string | undefined;
  /** What its tracks are called, such as which of the cameras; of a viewer: the tracks it wants, by default all. */
  label?: string | undefined;
  /** The place is lost; called once, and not after one's own `leave`. */
  onEnd?: ((reason: VideoEnd) => void) | undefined;
  /** Asked now and then, because a place outlives a credential. @throws when it has ended. */
  authenticate?: (() => Promise<Principal>) | undefined;
}

/** A place in the room of a robot. */
export interface RobotPlace {
  readonly room: MediaRoom;
  readonly member: MediaMember;
  /** Those that a viewer wants, of what is sent now. */
  tracks(): TrackInfo[];
  /** Idempotent. */
  leave(): void;
}

/** The rooms in which robots are watched: each robot has one of its own, which belongs to its account. */
export interface RobotVideo {
  /**
   * A place in the robot's room.
   * @throws DomainError as `fleet.owned`; `forbidden` for a key without `video:publish` or `video:watch`; MediaError
   *   `unavailable` without a worker, `room_full`, `too_many`.
   */
  enter(principal: Principal, robotId: string, spec: VideoSpec): Promise<RobotPlace>;
  /** What is sent in the robot's room now. @throws DomainError as `fleet.owned`. */
  tracks(principal: Principal, robotId: string): Promise<TrackInfo[]>;
  /** How many watch the robot, by whichever way. */
  viewers(robotId: string): number;
  /** @throws DomainError as `fleet.owned`. */
  audience(principal: Principal, robotId: string): Promise<ViewersNotice>;
  /**
   * For the robot: whether anybody watches, at once, and when the first comes or the last has been gone for 30 s.
   * @throws DomainError as `fleet.owned`; what ends its credential.
   */
  notices(
    principal: Principal,
    robotId: string,
    reader: Pick<LiveReader, 'authenticate' | 'signal'>,
  ): AsyncGenerator<ViewersFrame, void, undefined>;
}

export interface RobotVideoDeps {
  media: Pick<MediaProvider, 'openRoom' | 'room'>;
  fleet: Fleet;
  viewers: RobotViewers;
  /** Most that one robot's room takes. */
  maxMembers: number;
  clock: Clock;
  log: Logger;
}

/** Robots are watched from the first second on: browsers and GStreamer would begin at 300 kb/s. */
const START_KBPS = 1_500;
const RECHECK_MS = 5_000;
const ROLES: Readonly<Record<VideoRole, { scope: Scope; grants: Grants; prefix: string }>> = {
  publish: {
    scope: 'video:publish',
    grants: { publish: true, subscribe: false, record: false },
    prefix: 'robot',
  },
  watch: {
    scope: 'video:watch',
    grants: { publish: false, subscribe: true, record: false },
    prefix: 'viewer',
  },
};

export function createRobotVideo(deps: RobotVideoDeps): RobotVideo {
  const { media, fleet, viewers, maxMembers, clock, log } = deps;

  async function admit(principal: Principal, robotId: string, scope: Scope): Promise<FleetRobot> {
    if (principal.expires_at !== null && principal.expires_at <= clock.now()) {
      throw new DomainError('unauthenticated', 'Invalid certification key');
    }
    if (!principal.scopes.has(scope)) {
      throw new DomainError('forbidden', `This key lacks the scope ${scope}`);
    }
    return fleet.owned(principal, robotId);
  }

  return {
    async enter(principal, robotId, { role, name, label, onEnd, authenticate }) {
      const { scope, grants, prefix } = ROLES[role];
      const { row } = await admit(principal, robotId, scope);
      const key = videoKey(row);
      const room = await media.openRoom(key, { maxMembers, startKbps: START_KBPS });
      const shows = (track: TrackInfo) => label === undefined || track.label === label;
      const member = await room.join({
        id: `${prefix}-${randomBytes(8).toString('hex')}`,
        ...(name !== undefined && { name }),
        ...(label !== undefined && { label }),
        ...{ shows, grants },
        account: row.account_id,
      });
      const leaveAudience = role === 'watch' ? viewers.enter(key) : () => {};
      const access = endWithCredential(
        clock,
        {
          signal: undefined,
          authenticate: async () =>
            admit(authenticate ? await authenticate() : principal, robotId, scope),
        },
        RECHECK_MS,
      );
      let present = true;

      function end(): boolean {
        if (!present) return false;
        present = false;
        access.stop();
        for (const stop of stops) stop();
        leaveAudience();
        member.leave().catch((error: unknown) => log.error({ err: error }, 'a member stayed'));
        return true;
      }
      function lose(reason: VideoEnd): void {
        if (end()) onEnd?.(reason);
      }
      const stops = [
        room.on('closed', () => lose('room_closed')),
        room.on('memberLeft', ({ memberId }) => {
          if (memberId === member.id) lose('left_alone');
        }),
      ];
      access.signal.addEventListener('abort', () => lose('access_ended'));
      return { room, member, tracks: () => room.tracks().filter(shows), leave: () => void end() };
    },
    async tracks(principal, robotId) {
      const { row } = await fleet.owned(principal, robotId);
      return media.room(videoKey(row))?.tracks() ?? [];
    },
    viewers(robotId) {
      const robot = fleet.get(robotId);
      return robot ? viewers.now(videoKey(robot.row)).viewers : 0;
    },
    async audience(principal, robotId) {
      const { row } = await fleet.owned(principal, robotId);
      return viewers.now(videoKey(row));
    },
    async *notices(principal, robotId, { signal, authenticate }) {
      const { row } = await fleet.owned(principal, robotId);
      const recheck = async () => fleet.owned(await authenticate(), robotId);
      const ended = endWithCredential(clock, { signal, authenticate: recheck }, RECHECK_MS);
      let news: ViewersNotice | undefined;
      let wake = () => {};
      const onAbort = () => wake();
      ended.signal.addEventListener('abort', onAbort);
      const stopListening = viewers.listen(videoKey(row), (notice) => {
        news = notice;
        wake();
      });
      try {
        while (!ended.signal.aborted) {
          if (news) {
            const notice = news;
            news = undefined;
            yield { type: 'viewers', ...notice, timestamp: toInstant(clock.now()) };
          } else {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
        }
        if (ended.signal.reason instanceof DomainError) throw ended.signal.reason;
      } finally {
        stopListening();
        ended.signal.removeEventListener('abort', onAbort);
        ended.stop();
      }
    },
  };
}

/** A robot of one account: the name of its room in the media engine, and what its picture is kept under. */
export function videoKey({ account_id, id }: { account_id: string; id: string }): string {
  return `robot:${account_id}:${id}`;
}
