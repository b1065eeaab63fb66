import type { WebRtcTransport } from 'mediasoup/types';
import { engineError } from './engine-error.js';
import type { Relay } from './relays.js';
import type { EngineWorker } from './worker-slot.js';

/** Where congestion control begins before it has measured anything. */
const START_BITS_PER_SECOND = 1_000_000;
/** mediasoup refuses less. */
const LEAST_KBPS = 30;

/** One ICE and DTLS connection to a client. @throws MediaError; nothing stays open then. */
export async function openWebRtcTransport(
  { server }: EngineWorker,
  { router }: Relay,
  limits: { senderKbps: number; viewerKbps: number },
): Promise<WebRtcTransport> {
  let transport: WebRtcTransport | undefined;
  try {
    transport = await router.createWebRtcTransport({
      webRtcServer: server,
      preferUdp: true,
      initialAvailableOutgoingBitrate: START_BITS_PER_SECOND,
    });
    await transport.setMaxIncomingBitrate(limits.senderKbps * 1_000);
    if (limits.viewerKbps > 0) await limitViewer(transport, limits.viewerKbps);
    return transport;
  } catch (error) {
    transport?.close();
    throw engineError(error);
  }
}

/** What the client gets at most; 0 is no limit. */
export async function limitViewer(transport: WebRtcTransport, kbps: number): Promise<void> {
  await transport.setMaxOutgoingBitrate(kbps === 0 ? 0 : Math.max(kbps, LEAST_KBPS) * 1_000);
}
