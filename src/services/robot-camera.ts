import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Principal } from '../contract/access.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { type JpegHeader, readJpegHeader } from '../lib/jpeg.js';
import { createPressureGate } from '../realtime/pressure.js';
import type { Fleet } from './fleet.js';
import { endWithCredential, type LiveReader } from './live.js';
import type { Presences } from './presence.js';
import { type RobotVideo, videoKey } from './robot-video.js';
import type { RobotViewers } from './robot-viewers.js';

/** One picture, as it came. */
export interface Frame extends JpegHeader {
  readonly bytes: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly received_at: number;
}

/** Robots whose camera gives one JPEG after the other. Of each the newest is kept, in memory, and nothing else. */
export interface RobotCamera {
  readonly limitBytes: number;
  /**
   * @throws DomainError as `fleet.owned`; `too_large`; `invalid_input` for what is no JPEG; `rate_limited` above
   *   `media.jpeg_fps`.
   */
  push(principal: Principal, robotId: string, bytes: Uint8Array): Promise<Frame>;
  /** @throws DomainError as `fleet.owned`; `not_found` when there is none, which says where else to look. */
  latest(principal: Principal, robotId: string): Promise<Frame>;
  /** The same, undefined when there is none. */
  peek(principal: Principal, robotId: string): Promise<Frame | undefined>;
  /** What changes when the picture does. */
  tagOf(frame: Frame): string;
  /**
   * The newest picture, and each newer one as soon as the reader takes it; those in between are left out. Begins with
   * waiting when the camera is still off, since the robot is told that somebody watches.
   * @throws DomainError as `fleet.owned`; `not_found` for a robot that is watched otherwise; `rate_limited` when there
   *   are too many readers.
   */
  watch(
    principal: Principal,
    robotId: string,
    reader: CameraReader,
  ): Promise<AsyncGenerator<Frame>>;
  count(): number;
  close(): void;
}

export type CameraReader = Pick<LiveReader, 'socket' | 'signal' | 'authenticate'>;

export interface RobotCameraDeps {
  fleet: Fleet;
  presences: Presences;
  viewers: RobotViewers;
  video: Pick<RobotVideo, 'tracks'>;
  clock: Clock;
  limitBytes: number;
  framesPerSecond: number;
  readersPerRobot: number;
}

interface Camera {
  frame: Frame;
  /** Of the second in which the newest came. */
  secondBegan: number;
  frames: number;
}

/** A picture this old is none of what the robot sees. */
export const FRAME_TTL_MS = 300_000;
const SWEEP_EVERY_MS = 30_000;
/** Of all robots together; above it, those who have been silent the longest lose theirs first. */
export const KEPT_BYTES = 256 * 2 ** 20;

export function createRobotCamera(deps: RobotCameraDeps): RobotCamera {
  const { fleet, presences, viewers, video, clock, limitBytes, framesPerSecond } = deps;
  const cameras = new LRUCache<string, Camera>({
    maxSize: Math.max(KEPT_BYTES, limitBytes),
    sizeCalculation: ({ frame }) => frame.bytes.length,
  });
  const readers = new Map<string, Set<() => void>>();
  const tags = new WeakMap<Frame, string>();
  const stopSweeping = clock.every(SWEEP_EVERY_MS, () => {
    for (const [key, { frame }] of cameras) if (isOld(frame)) cameras.delete(key);
  });

  const isOld = ({ received_at }: Frame) => clock.now() - received_at >= FRAME_TTL_MS;

  function newest(key: string): Frame | undefined {
    const frame = cameras.peek(key)?.frame;
    return frame && !isOld(frame) ? frame : undefined;
  }

  /** @throws DomainError `rate_limited`. */
  function countOne(known: Camera | undefined): Pick<Camera, 'secondBegan' | 'frames'> {
    const now = clock.now();
    if (!known || now < known.secondBegan || now >= known.secondBegan + 1_000) {
      return { secondBegan: now, frames: 1 };
    }
    if (known.frames >= framesPerSecond) {
      throw new DomainError(
        'rate_limited',
        `At most ${framesPerSecond} frames a second from one robot (media.jpeg_fps)`,
        { limit: 'media.jpeg_fps', retryAfterMs: known.secondBegan + 1_000 - now },
      );
    }
    return { secondBegan: known.secondBegan, frames: known.frames + 1 };
  }

  /** Why there is no picture. */
  async function nothing(principal: Principal, robotId: string): Promise<DomainError> {
    const tracks = await video.tracks(principal, robotId);
    const otherwise = tracks.some(({ kind }) => kind === 'video');
    return new DomainError(
      'not_found',
      otherwise
        ? `This robot sends no JPEG frames; its video is at /whep/${encodeURIComponent(robotId)}`
        : 'This robot has sent no JPEG frame within the last 5 minutes',
    );
  }

  async function* read(
    key: string,
    reader: Omit<CameraReader, 'authenticate'> & { authenticate: () => Promise<unknown> },
  ): AsyncGenerator<Frame> {
    const ended = endWithCredential(clock, reader);
    const { signal } = ended;
    const { socket } = reader;
    const leaveAudience = viewers.enter(key);
    const gate = createPressureGate({ socket, signal, clock, capBytes: 0 });
    const own = readers.get(key) ?? new Set();
    let wake = () => {};
    const onFrame = () => wake();
    own.add(onFrame);
    readers.set(key, own);
    signal.addEventListener('abort', onFrame);
    let shown: Frame | undefined;
    try {
      while (!signal.aborted && !socket?.destroyed) {
        const frame = newest(key);
        if (!gate.isOpen()) await gate.wait();
        else if (frame && frame !== shown) {
          shown = frame;
          yield frame;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
      if (signal.reason instanceof DomainError) throw signal.reason;
    } finally {
      signal.removeEventListener('abort', onFrame);
      own.delete(onFrame);
      if (own.size === 0) readers.delete(key);
      leaveAudience();
      ended.stop();
    }
  }

  return {
    limitBytes,
    async push(principal, robotId, bytes) {
      const robot = await fleet.owned(principal, robotId);
      presences.seen(robot, clock.now());
      if (bytes.length > limitBytes) {
        throw new DomainError(
          'too_large',
          `A frame may have ${limitBytes} bytes (media.jpeg_limit)`,
          { limit: 'media.jpeg_limit' },
        );
      }
      const header = readJpegHeader(bytes);
      if (!header) {
        throw new DomainError(
          'invalid_input',
          'The frame is no whole JPEG: begin with FF D8, end with FF D9',
        );
      }
      const key = videoKey(robot.row);
      const counted = countOne(cameras.peek(key));
      const frame = { ...header, bytes, received_at: clock.now() };
      cameras.set(key, { frame, ...counted });
      for (const tell of readers.get(key) ?? []) tell();
      return frame;
    },
    async latest(principal, robotId) {
      const { row } = await fleet.owned(principal, robotId);
      const frame = newest(videoKey(row));
      if (!frame) throw await nothing(principal, robotId);
      return frame;
    },
    async peek(principal, robotId) {
      const { row } = await fleet.owned(principal, robotId);
      return newest(videoKey(row));
    },
    tagOf(frame) {
      const known = tags.get(frame);
      if (known) return known;
      const hash = createHash('sha256').update(frame.bytes).digest('base64url').slice(0, 22);
      tags.set(frame, hash);
      return hash;
    },
    async watch(principal, robotId, { socket, signal, authenticate }) {
      const { row } = await fleet.owned(principal, robotId);
      const key = videoKey(row);
      if (!newest(key) && (await video.tracks(principal, robotId)).length > 0) {
        throw await nothing(principal, robotId);
      }
      if ((readers.get(key)?.size ?? 0) >= deps.readersPerRobot) {
        throw new DomainError(
          'rate_limited',
          `At most ${deps.readersPerRobot} may read the frames of a robot (media.mjpeg_readers)`,
          { limit: 'media.mjpeg_readers', retryAfterMs: 5_000 },
        );
      }
      return read(key, {
        ...{ socket, signal },
        authenticate: async () => fleet.owned(await authenticate(), robotId),
      });
    },
    count: () => cameras.size,
    close: () => stopSweeping(),
  };
}
