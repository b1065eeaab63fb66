import type { Router } from 'mediasoup/types';
import { startRtpCamera } from '../lib/rtp-camera.js';
import { memberSpec, openEngine } from './media-engine.js';

// A room with one camera, and as many receivers as are asked for. Those are SRTP transports beside the members, since
// a member's own needs a browser at the other end; what is done to a packet on its way is the same.
const sinkPorts = process.argv.slice(2).map(Number);
const { media, worker } = openEngine();
const routers: Router[] = [];
void worker.then(({ observer }) => observer.on('newrouter', (router) => routers.push(router)));

const room = await media.openRoom('bench', { codecs: ['VP8'], maxMembers: 10 });
const member = await room.join(memberSpec('camera'));
const target = await member.ingest!.open({ kind: 'video', codec: 'VP8', from: '127.0.0.1' });
const camera = await startRtpCamera(target);
const router = routers[0]!;
let receivers = 0;

async function addReceiver(port: number): Promise<void> {
  const transport = await router.createPlainTransport({
    listenInfo: { protocol: 'udp', ip: '127.0.0.1' },
    enableSrtp: true,
    // What Chromium settles on.
    srtpCryptoSuite: 'AEAD_AES_256_GCM',
  });
  await transport.connect({
    ip: '127.0.0.1',
    port,
    // Nothing comes back, so any key will do.
    srtpParameters: transport.srtpParameters!,
  });
  await transport.consume({
    producerId: target.track.trackId,
    // Without the extensions of congestion control, which would send probes while nobody reports.
    rtpCapabilities: { ...router.rtpCapabilities, headerExtensions: [] },
  });
}

process.on('message', async ({ receivers: wanted }: { receivers?: number }) => {
  for (; wanted !== undefined && receivers < wanted; receivers++) {
    await addReceiver(sinkPorts[receivers % sinkPorts.length]!);
  }
  process.send?.({ packets_sent: camera.packets() });
});
process.on('disconnect', () => process.exit());
process.send?.({ worker_pid: (await worker).pid });
