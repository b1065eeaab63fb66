import type { Principal } from '../contract/access.js';
import type { CloseRtpInput, OpenRtpInput, RtpTarget } from '../contract/video.js';
import { DomainError } from '../lib/errors.js';
import type { MediaProvider, PlainTarget } from '../media/provider.js';
import type { Fleet } from './fleet.js';
import { type RobotPlace, type RobotVideo, videoKey } from './robot-video.js';

/** Doors for robots that send plain RTP, as ffmpeg and GStreamer do. */
export interface RobotRtp {
  /**
   * Opens a door for one track, of which packets from `from` alone are taken. It shuts after 30 s of silence.
   * @throws DomainError as `video.enter`; `forbidden` while `media.plain_rtp` is off; `invalid_input` for a codec that is
   *   none of this kind; MediaError `too_many`, `unavailable` when no port is free.
   */
  open(
    principal: Principal,
    input: OpenRtpInput,
    from: string,
    authenticate: () => Promise<Principal>,
  ): Promise<RtpTarget>;
  /** @throws DomainError as `fleet.owned`; `not_found`. */
  close(principal: Principal, input: CloseRtpInput): Promise<void>;
}

export interface RobotRtpDeps {
  media: Pick<MediaProvider, 'can'>;
  video: Pick<RobotVideo, 'enter'>;
  fleet: Fleet;
}

/** The place of one credential in the room of one robot, and the tracks that are sent from there. */
interface Sender {
  robotKey: string;
  place: Promise<RobotPlace>;
  tracks: Set<string>;
  opening: number;
}

export function createRobotRtp({ media, video, fleet }: RobotRtpDeps): RobotRtp {
  const senders = new Map<string, Sender>();

  function senderOf(
    principal: Principal,
    robotKey: string,
    robotId: string,
    authenticate: () => Promise<Principal>,
  ): [string, Sender] {
    const key = `${robotKey} ${principal.key_id ?? ''}`;
    const known = senders.get(key);
    if (known) return [key, known];
    const place = video.enter(principal, robotId, {
      ...{ role: 'publish', authenticate },
      onEnd() {
        if (senders.get(key) === sender) senders.delete(key);
      },
    });
    const sender: Sender = { robotKey, place, tracks: new Set(), opening: 0 };
    senders.set(key, sender);
    return [key, sender];
  }

  /** Nobody stays in a room with nothing to send. */
  async function leaveIfIdle(key: string, sender: Sender): Promise<void> {
    if (sender.tracks.size > 0 || sender.opening > 0 || senders.get(key) !== sender) return;
    senders.delete(key);
    const place = await sender.place.catch(() => undefined);
    place?.leave();
  }

  return {
    async open(principal, { robot_id, kind, codec, label }, from, authenticate) {
      const { row } = await fleet.owned(principal, robot_id);
      if (!media.can.plainRtp) {
        throw new DomainError(
          'forbidden',
          'Plain RTP is switched off on this server; its operator may set media.plain_rtp',
        );
      }
      if ((kind === 'audio') !== (codec === 'opus')) {
        throw new DomainError('invalid_input', 'codec: audio is opus; video is VP8 or H264', {
          issues: [{ path: 'codec', message: 'audio is opus; video is VP8 or H264' }],
        });
      }
      const [key, sender] = senderOf(principal, videoKey(row), robot_id, authenticate);
      sender.opening += 1;
      let ended = false;
      let trackId: string | undefined;
      try {
        const { member } = await sender.place;
        if (!member.ingest) throw new DomainError('unavailable', 'Plain RTP is not available');
        const target = await member.ingest.open({
          ...{ kind, codec, from },
          ...(label !== undefined && { label }),
          onEnd() {
            ended = true;
            if (trackId !== undefined) sender.tracks.delete(trackId);
            void leaveIfIdle(key, sender);
          },
        });
        trackId = target.track.trackId;
        if (!ended) sender.tracks.add(trackId);
        return { ...wireOf(target, codec), from };
      } finally {
        sender.opening -= 1;
        await leaveIfIdle(key, sender);
      }
    },
    async close(principal, { robot_id, track_id }) {
      const { row } = await fleet.owned(principal, robot_id);
      const robotKey = videoKey(row);
      for (const sender of senders.values()) {
        if (sender.robotKey !== robotKey || !sender.tracks.has(track_id)) continue;
        await (await sender.place).member.ingest?.close(track_id);
        return;
      }
      throw new DomainError('not_found', 'There is no such track');
    },
  };
}

const TEST_SIGNALS = {
  VP8: '-re -f lavfi -i testsrc=size=640x480:rate=15 -c:v libvpx -deadline realtime -cpu-used 8 -b:v 1M -g 15',
  H264:
    '-re -f lavfi -i testsrc=size=640x480:rate=15 -c:v libx264 -profile:v baseline -preset ultrafast ' +
    '-tune zerolatency -pix_fmt yuv420p -b:v 1M -g 15',
  opus: '-re -f lavfi -i sine=frequency=440 -c:a libopus -b:a 32k',
} as const;

function wireOf(
  { track, address, rtpPort, rtcpPort, payloadType, ssrc }: PlainTarget,
  codec: OpenRtpInput['codec'],
): Omit<RtpTarget, 'from'> {
  const host = address.includes(':') ? `[${address}]` : address;
  return {
    track_id: track.trackId,
    kind: track.kind,
    codec,
    label: track.label ?? null,
    address,
    rtp_port: rtpPort,
    rtcp_port: rtcpPort,
    payload_type: payloadType,
    ssrc,
    // ffmpeg reads the ssrc as a signed number.
    ffmpeg:
      `ffmpeg ${TEST_SIGNALS[codec]} -payload_type ${payloadType} -ssrc ${ssrc | 0} ` +
      `-f rtp 'rtp://${host}:${rtpPort}?rtcpport=${rtcpPort}'`,
  };
}
