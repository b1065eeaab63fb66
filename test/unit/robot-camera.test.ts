import { expect, it } from 'vitest';
import type { Principal } from '../../src/contract/access.js';
import type { FleetRobot } from '../../src/services/fleet.js';
import { createRobotCamera, KEPT_BYTES } from '../../src/services/robot-camera.js';
import { createStoppedClock } from '../support/identity.js';
import { jpeg } from '../support/jpeg.js';

/** Its memory is never written, so that it takes none. */
function large(sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  bytes.set(jpeg().subarray(0, -2));
  bytes.set([0xff, 0xd9], sizeBytes - 2);
  return bytes;
}

it('the pictures of all robots together take no more than their share of memory', async () => {
  const robotOf = (id: string) => ({ row: { id, account_id: 'a' } }) as FleetRobot;
  const camera = createRobotCamera({
    fleet: { owned: async (_principal: Principal, id: string) => robotOf(id) } as never,
    presences: { seen() {} } as never,
    viewers: {} as never,
    video: { tracks: async () => [] },
    clock: createStoppedClock(),
    ...{ limitBytes: KEPT_BYTES, framesPerSecond: 30, readersPerRobot: 1 },
  });
  const principal = {} as Principal;
  const has = async (id: string) => (await camera.peek(principal, id)) !== undefined;
  for (const id of ['r1', 'r2', 'r1', 'r3']) {
    await camera.push(principal, id, large(KEPT_BYTES / 2));
  }
  expect([await has('r1'), await has('r2'), await has('r3')]).toEqual([true, false, true]);
  await camera.push(principal, 'r4', large(KEPT_BYTES));
  expect([await has('r1'), await has('r3'), await has('r4')]).toEqual([false, false, true]);
  camera.close();
});
