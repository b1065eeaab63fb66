import type { ProcedurePath, Surface } from '../define.js';
import { kairoio } from './kairoio.js';

/** Every documented API that is served. */
export const surfaces: readonly Surface[] = [kairoio];

/** Procedures without a REST row, each with the reason. */
export const notExposed: Partial<Record<ProcedurePath, string>> = {
  'commands.live': 'A subscription: tRPC over WebSocket carries it',
  'robots.presence': 'A subscription: tRPC over WebSocket carries it',
  'status.live': 'A subscription: tRPC over WebSocket carries it',
};
