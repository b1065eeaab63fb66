import type { Config } from '../../config.js';
import type { MediasoupOptions } from './provider.js';

type FromElsewhere = Pick<MediasoupOptions, 'workerBinary' | 'clock' | 'log'>;

export function mediasoupOptions(
  media: Config['media'],
  elsewhere: FromElsewhere,
): MediasoupOptions {
  return {
    enabled: media.enabled,
    workers: media.workers,
    rtcPort: media.rtc_port,
    listenIp: media.listen_ip,
    announcedAddress: media.announced_address,
    maxRooms: media.max_rooms,
    maxMembers: media.max_members,
    maxMembersPerAccount: media.max_members_per_account,
    maxSenderKbps: media.max_sender_kbps,
    plainRtpPorts: media.plain_rtp
      ? { min: media.plain_rtp_first_port, max: media.plain_rtp_last_port }
      : undefined,
    ...elsewhere,
  };
}
