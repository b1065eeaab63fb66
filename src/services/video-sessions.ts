import { randomBytes } from 'node:crypto';
import type { Principal } from '../contract/access.js';
import type {
  OpenSessionInput,
  PatchedSession,
  PatchSessionInput,
  SessionInput,
  VideoSession,
} from '../contract/video.js';
import { after, type Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Kind, MediaRoom, SdpLink, TrackInfo } from '../media/provider.js';
import type { Fleet } from './fleet.js';
import { type RobotPlace, type RobotVideo, type VideoRole, videoKey } from './robot-video.js';
import { fragmentOf, type IceAnswer, iceOfAnswer, readFragment } from './sdp-fragment.js';

/** Connections that are begun with one HTTP request: WHIP (RFC 9725) to send a robot's picture, WHEP to watch it. */
export interface VideoSessions {
  /**
   * Answers an offer. A WHIP session takes the place of an earlier one with the same label. A WHEP session shows what has
   * its label, or whatever comes first; it waits some seconds for a robot that has to be told to begin, and ends when all
   * that it shows has.
   * @throws DomainError as `video.enter`; MediaError as `SdpLink.offer`; `invalid_input` for an offer that asks for
   *   nothing; `conflict` while the robot sends nothing; `rate_limited` above 8 WHIP sessions of one robot.
   */
  open(
    principal: Principal,
    role: VideoRole,
    input: OpenSessionInput,
    caller: { authenticate: () => Promise<Principal>; signal?: AbortSignal | undefined },
  ): Promise<VideoSession>;
  /**
   * Takes candidates, which are not needed, or begins ICE anew.
   * @throws DomainError as `end`; `invalid_input` for what is no fragment; `precondition_required` without an etag;
   *   `precondition_failed` for that of another ICE session.
   */
  patch(principal: Principal, role: VideoRole, input: PatchSessionInput): Promise<PatchedSession>;
  /** @throws DomainError as `fleet.owned`; `not_found`; `forbidden` when another key began it. */
  end(principal: Principal, role: VideoRole, input: SessionInput): Promise<void>;
  count(): Record<VideoRole, number>;
}

export interface VideoSessionsDeps {
  video: Pick<RobotVideo, 'enter'>;
  fleet: Fleet;
  clock: Clock;
}

interface Session {
  id: string;
  role: VideoRole;
  robotKey: string;
  /** Of the key that began it; null for the account itself. */
  keyId: string | null;
  label: string | undefined;
  place: RobotPlace;
  link: SdpLink;
  ice: IceAnswer;
  /** What the client calls its ICE session. */
  ufrag: string;
  /** Nobody waits any more for what it shows to end. */
  unwatch(): void;
}

/** How long a viewer waits for a robot that has just been told that somebody watches. */
export const PICTURE_WAIT_MS = 8_000;
/** Sound and picture come one after the other. */
const COMPANY_WAIT_MS = 300;
const RETRY_MS = 2_000;
const PUBLISHERS_PER_ROBOT = 8;

export function createVideoSessions({ video, fleet, clock }: VideoSessionsDeps): VideoSessions {
  const sessions = new Map<string, Session>();

  function publishersOf(robotKey: string): Session[] {
    return [...sessions.values()].filter(
      (session) => session.role === 'publish' && session.robotKey === robotKey,
    );
  }

  function forget(id: string): void {
    sessions.get(id)?.unwatch();
    sessions.delete(id);
  }

  function close({ id, place }: Session): void {
    forget(id);
    place.leave();
  }

  /** @throws DomainError `rate_limited`. */
  function assertFree(robotKey: string, label: string | undefined): void {
    const others = publishersOf(robotKey).filter((other) => other.label !== label);
    if (others.length < PUBLISHERS_PER_ROBOT) return;
    throw new DomainError(
      'rate_limited',
      `At most ${PUBLISHERS_PER_ROBOT} WHIP sessions of one robot at once`,
      { limit: 'publishers_per_robot', retryAfterMs: RETRY_MS },
    );
  }

  async function find(
    principal: Principal,
    role: VideoRole,
    { robot_id, session_id }: SessionInput,
  ): Promise<Session> {
    const { row } = await fleet.owned(principal, robot_id);
    const session = sessions.get(session_id);
    if (session?.role !== role || session.robotKey !== videoKey(row)) {
      throw new DomainError('not_found', 'There is no such session; it may have ended');
    }
    if (principal.kind !== 'account' && principal.key_id !== session.keyId) {
      throw new DomainError('forbidden', 'Another key began this session');
    }
    return session;
  }

  /** @throws what is wrong with the offer; nothing has happened then. */
  async function negotiate(place: RobotPlace, role: VideoRole, sdp: string, signal?: AbortSignal) {
    const link = place.member.sdp;
    if (!link) throw new DomainError('unavailable', 'This server does not speak SDP');
    const { sends, receives } = link.wishesOf(sdp);
    const kinds = role === 'publish' ? sends : receives;
    if (kinds.size === 0) {
      const direction = role === 'publish' ? 'sendonly' : 'recvonly';
      throw new DomainError('invalid_input', `The offer has no ${direction} section`);
    }
    if (role === 'watch') await pictureOf(place, kinds, clock, signal);
    const answer = await link.offer(sdp);
    const works =
      role === 'publish' ? /^a=(recvonly|sendrecv)\r?$/m : /^a=(sendonly|sendrecv)\r?$/m;
    if (answer === null || !works.test(answer)) {
      throw new DomainError(
        'invalid_input',
        role === 'publish'
          ? 'The offer has no codec that is taken here: video is VP8 or H264 (baseline), audio opus'
          : 'The offer has no codec in which the robot sends: ask for VP8, H264 and opus',
      );
    }
    return { link, answer, kinds };
  }

  return {
    async open(principal, role, { robot_id, sdp, label }, { authenticate, signal }) {
      const { row } = await fleet.owned(principal, robot_id);
      const robotKey = videoKey(row);
      if (role === 'publish') assertFree(robotKey, label);
      const id = randomBytes(24).toString('base64url');
      let lost = false;
      const place = await video.enter(principal, robot_id, {
        ...{ role, label, authenticate },
        onEnd() {
          lost = true;
          forget(id);
        },
      });
      try {
        const { link, answer, kinds } = await negotiate(place, role, sdp, signal);
        if (lost || signal?.aborted) throw new DomainError('conflict', 'The session has ended');
        const session: Session = {
          ...{ id, role, robotKey, label, place, link },
          keyId: principal.key_id,
          ice: iceOfAnswer(answer),
          ufrag: iceOfAnswer(sdp).ufrag,
          unwatch: () => {},
        };
        if (role === 'publish') {
          // Others may have come meanwhile.
          assertFree(robotKey, label);
          // A robot that was started again does not wait until its former self is found dead.
          for (const old of publishersOf(robotKey)) if (old.label === label) close(old);
        } else {
          const shown = shownIn(place, kinds);
          if (shown.length === 0) throw nothingSent();
          session.unwatch = onEndOf(shown, place.room, () => close(session));
        }
        sessions.set(id, session);
        return { session_id: id, sdp: answer, etag: session.ice.ufrag };
      } catch (error) {
        place.leave();
        throw error;
      }
    },
    async patch(principal, role, input) {
      const session = await find(principal, role, input);
      const { ufrag, pwd } = readFragment(input.fragment);
      const { if_match } = input;
      const etag = session.ice.ufrag;
      if (if_match === undefined) {
        throw new DomainError(
          'precondition_required',
          'Send If-Match: the ETag of the session for candidates, * to begin ICE anew',
        );
      }
      const restarts = ufrag !== undefined && ufrag !== session.ufrag;
      const wanted = if_match.replace(/^"(.*)"$/, '$1');
      if (wanted !== '*' && wanted !== etag) {
        throw new DomainError('precondition_failed', 'This is the ETag of another ICE session');
      }
      if (!restarts) return { fragment: null, etag };
      if (pwd === undefined) {
        throw new DomainError('invalid_input', 'fragment: a=ice-ufrag needs a=ice-pwd beside it');
      }
      const side = await session.link.restartIce(ufrag);
      session.ufrag = ufrag;
      session.ice = { ...session.ice, ufrag: side.ufrag };
      return { fragment: fragmentOf(session.ice, side), etag: side.ufrag };
    },
    async end(principal, role, input) {
      close(await find(principal, role, input));
    },
    count() {
      const all = [...sessions.values()];
      const publish = all.filter(({ role }) => role === 'publish').length;
      return { publish, watch: all.length - publish };
    },
  };
}

function shownIn(place: RobotPlace, kinds: ReadonlySet<Kind>): TrackInfo[] {
  return place.tracks().filter(({ kind }) => kinds.has(kind));
}

/**
 * Calls `end` when the last of these tracks has ended: the connection of an HTTP client shows no others. Returns the
 * function that calls it off.
 */
function onEndOf(tracks: readonly TrackInfo[], room: MediaRoom, end: () => void): () => void {
  const left = new Set(tracks.map(({ trackId }) => trackId));
  return room.on('trackEnd', ({ trackId }) => {
    if (left.delete(trackId) && left.size === 0) end();
  });
}

/** Resolves when something of these kinds is sent, and what belongs to it. @throws DomainError `conflict` when none is. */
async function pictureOf(
  place: RobotPlace,
  kinds: ReadonlySet<Kind>,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { room } = place;
  const shown = () => new Set(shownIn(place, kinds).map(({ kind }) => kind)).size;
  if (!(await waitFor(room, () => shown() > 0, PICTURE_WAIT_MS, clock, signal))) {
    throw nothingSent();
  }
  await waitFor(room, () => shown() === kinds.size, COMPANY_WAIT_MS, clock, signal);
}

function nothingSent(): DomainError {
  return new DomainError(
    'conflict',
    'The robot sends nothing yet; it has been told that somebody watches, try again',
    { retryAfterMs: RETRY_MS },
  );
}

/** Whether it is so within this time. */
async function waitFor(
  room: MediaRoom,
  isSo: () => boolean,
  limitMs: number,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (isSo()) return true;
  const stops: (() => void)[] = [];
  await new Promise<void>((resolve) => {
    stops.push(
      after(clock, limitMs, resolve),
      room.on('track', () => {
        if (isSo()) resolve();
      }),
      room.on('closed', () => resolve()),
    );
    if (!signal) return;
    const onAbort = () => resolve();
    signal.addEventListener('abort', onAbort);
    stops.push(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) resolve();
  });
  for (const stop of stops) stop();
  return isSo();
}
