import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { RtpGaps } from '../lib/rtp-gaps.js';

// Takes RTP on several sockets and looks at the sequence numbers of each stream. SRTP leaves headers as they are.
const SOCKETS = 16;
/** Gets as much of it as net.core.rmem_max allows. */
const BUFFER_BYTES = 16 << 20;
const RTP_HEADER_BYTES = 12;

const streams = new Map<number, RtpGaps>();
const heard = new Set<number>();

function take(packet: Buffer): void {
  if (packet.length < RTP_HEADER_BYTES || isRtcp(packet)) return;
  const ssrc = packet.readUInt32BE(8);
  let gaps = streams.get(ssrc);
  if (gaps === undefined) {
    gaps = new RtpGaps();
    streams.set(ssrc, gaps);
  }
  gaps.add(packet.readUInt16BE(2));
  heard.add(ssrc);
}

/** On one port with RTP it is told by the second byte (RFC 5761). */
function isRtcp(packet: Buffer): boolean {
  return packet[1]! >= 192 && packet[1]! <= 223;
}

const sockets = await Promise.all(
  Array.from({ length: SOCKETS }, async () => {
    const socket = createSocket('udp4', take);
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    socket.setRecvBufferSize(BUFFER_BYTES);
    return socket;
  }),
);

process.on('message', () => {
  let received = 0;
  let expected = 0;
  for (const gaps of streams.values()) {
    received += gaps.received;
    expected += gaps.expected;
  }
  process.send?.({ received, expected, heard: heard.size });
  heard.clear();
});
process.on('disconnect', () => process.exit());
process.send?.({
  ports: sockets.map((socket) => socket.address().port),
  buffer_bytes: sockets[0]!.getRecvBufferSize(),
});
