import type { ProcedurePath, Surface } from '../define.js';
import { kaamos } from './kaamos.js';
import { kairoio } from './kairoio.js';

/** Every documented API that is served. */
export const surfaces: readonly Surface[] = [kairoio, kaamos];

/** The API whose shape a failure at this path has, where no row is. */
export function surfaceAt(path: string): Surface {
  return surfaces.find(({ owns }) => owns?.test(path)) ?? kairoio;
}

const SIGNALLING = 'What mediasoup-client asks of a server; over REST nobody does';

/** Procedures without a REST row, each with the reason. */
export const notExposed: Partial<Record<ProcedurePath, string>> = {
  'commands.live': 'A subscription: tRPC over WebSocket carries it',
  'media.closeConsumer': SIGNALLING,
  'media.closeTrack': SIGNALLING,
  'media.connectTransport': SIGNALLING,
  'media.consume': SIGNALLING,
  'media.createTransport': SIGNALLING,
  'media.enter': SIGNALLING,
  'media.events': SIGNALLING,
  'media.join': SIGNALLING,
  'media.leave': SIGNALLING,
  'media.pauseConsumer': SIGNALLING,
  'media.pauseTrack': SIGNALLING,
  'media.produce': SIGNALLING,
  'media.restartIce': SIGNALLING,
  'media.resumeConsumer': SIGNALLING,
  'media.resumeTrack': SIGNALLING,
  'media.setPreferredLayers': SIGNALLING,
  'robots.presence': 'A subscription: tRPC over WebSocket carries it',
  'status.live': 'A subscription: tRPC over WebSocket carries it',
  'video.viewers': 'A subscription; other robots ask their WebSocket or event stream for it',
};
