import type { MigrationTools } from '../dialect.js';
import { createCore } from './0001-core.js';
import { createFleetApi } from './0002-fleet-api.js';
import { createRooms } from './0003-rooms.js';

/** Every migration in order. Names are for ever: a released one is never changed, only followed. */
export const MIGRATIONS: Readonly<Record<string, (tools: MigrationTools) => Promise<void>>> = {
  '0001-core': createCore,
  '0002-fleet-api': createFleetApi,
  '0003-rooms': createRooms,
};
