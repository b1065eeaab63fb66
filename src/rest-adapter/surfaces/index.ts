import type { ProcedurePath, Surface } from '../define.js';
import { kaamos } from './kaamos.js';
import { kairoio } from './kairoio.js';

/** Every documented API that is served. */
export const surfaces: readonly Surface[] = [kairoio, kaamos];

/** The API whose shape a failure at this path has, where no row is. */
export function surfaceAt(path: string): Surface {
  return surfaces.find(({ owns }) => owns?.test(path)) ?? kairoio;
}

/** Procedures without a REST row, each with the reason. */
export const notExposed: Partial<Record<ProcedurePath, string>> = {
  'commands.live': 'A subscription: tRPC over WebSocket carries it',
  'robots.presence': 'A subscription: tRPC over WebSocket carries it',
  'status.live': 'A subscription: tRPC over WebSocket carries it',
  'video.viewers': 'A subscription; other robots ask their WebSocket or event stream for it',
};
