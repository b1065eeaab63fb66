import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** A stream of about 500 kb/s. */
const FRAMES_PER_SECOND = 20;
const PACKETS_PER_FRAME = 3;
export const PACKETS_PER_SECOND = FRAMES_PER_SECOND * PACKETS_PER_FRAME;
export const PACKET_BYTES = 1040;

const FRAME_MS = 1000 / FRAMES_PER_SECOND;
const RTP_HEADER_BYTES = 12;
const CLOCK_RATE = 90_000;
/** Payload descriptor and frame header of VP8 (RFC 7741, RFC 6386): as much as a forwarder looks at. */
const KEY_FRAME = Buffer.from('103001009d012a80026801', 'hex');
const OTHER_FRAME = Buffer.from('10310100', 'hex');
const REST_OF_FRAME = Buffer.from('00', 'hex');

export interface CameraTarget {
  address: string;
  rtpPort: number;
  payloadType: number;
  ssrc: number;
}

/** Sends what looks like VP8 at a fixed rate, with a key frame every second: it costs next to nothing to make. */
export async function startRtpCamera(target: CameraTarget): Promise<{ packets(): number }> {
  const socket = createSocket('udp4');
  socket.bind(0, target.address);
  await once(socket, 'listening');
  let packets = 0;

  function sendFrame(frame: number): void {
    const start = frame % FRAMES_PER_SECOND === 0 ? KEY_FRAME : OTHER_FRAME;
    for (let index = 0; index < PACKETS_PER_FRAME; index++) {
      const packet = Buffer.alloc(PACKET_BYTES, 0x55);
      const isLast = index === PACKETS_PER_FRAME - 1;
      packet[0] = 0x80;
      packet[1] = (isLast ? 0x80 : 0) | target.payloadType;
      packet.writeUInt16BE(packets & 0xffff, 2);
      packet.writeUInt32BE(((frame * CLOCK_RATE) / FRAMES_PER_SECOND) >>> 0, 4);
      packet.writeUInt32BE(target.ssrc, 8);
      (index === 0 ? start : REST_OF_FRAME).copy(packet, RTP_HEADER_BYTES);
      socket.send(packet, target.rtpPort, target.address);
      packets += 1;
    }
  }

  async function run(): Promise<never> {
    const startedAtMs = performance.now();
    for (let frame = 0; ; frame++) {
      await sleep(startedAtMs + frame * FRAME_MS - performance.now());
      sendFrame(frame);
    }
  }
  void run();
  return { packets: () => packets };
}
