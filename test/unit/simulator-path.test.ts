import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPath } from '../../src/simulator/path.js';
import { globalPosition, placeOf, START } from '../../src/simulator/place.js';
import { createRandom } from '../../src/simulator/random.js';

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

function pathOf(seed: number) {
  return createPath(createRandom(seed), { x: 30, y: -30 });
}

/** From -π to π. */
function turn(from: number, to: number): number {
  return Math.atan2(Math.sin(to - from), Math.cos(to - from));
}

describe('the path of a simulated robot', () => {
  it('is closed: a lap later one is where one was', () => {
    fc.assert(
      fc.property(seeds, fc.double({ min: 0, max: 500, noNaN: true }), (seed, distanceM) => {
        const path = pathOf(seed);
        const [here, again] = [distanceM, distanceM + path.lengthM].map(path.poseAt);
        expect(again!.x).toBeCloseTo(here!.x, 3);
        expect(again!.y).toBeCloseTo(here!.y, 3);
        expect(turn(here!.yaw, again!.yaw)).toBeCloseTo(0, 3);
      }),
    );
  });

  it('is smooth: a metre along it is a metre, ahead, without a sharp turn', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const path = pathOf(seed);
        const stepM = 0.1;
        for (let distanceM = 0; distanceM < path.lengthM * 1.1; distanceM += stepM) {
          const here = path.poseAt(distanceM);
          const next = path.poseAt(distanceM + stepM);
          const [dx, dy] = [next.x - here.x, next.y - here.y];
          expect(Math.hypot(dx, dy)).toBeGreaterThan(stepM * 0.97);
          expect(Math.hypot(dx, dy)).toBeLessThan(stepM * 1.01);
          expect(Math.abs(turn(here.yaw, Math.atan2(dy, dx)))).toBeLessThan(0.1);
          expect(Math.abs(turn(here.yaw, next.yaw))).toBeLessThan(0.1);
        }
      }),
      { numRuns: 15 },
    );
  });

  it('stays within 12 m of its centre, so that neighbours never meet', () => {
    expect(placeOf(1).x - placeOf(0).x).toBe(30);
    expect(placeOf(10)).toEqual({ x: 0, y: 30 });
    fc.assert(
      fc.property(seeds, (seed) => {
        const path = pathOf(seed);
        for (let distanceM = 0; distanceM < path.lengthM; distanceM += 0.5) {
          const { x, y } = path.poseAt(distanceM);
          expect(Math.hypot(x - 30, y + 30)).toBeLessThan(12);
        }
      }),
    );
  });

  it('has a global position that agrees with the local one', () => {
    expect(globalPosition(START, { x: 0, y: 0 })).toEqual({ ...START, altitude: 0 });
    const north = globalPosition(START, { x: 0, y: 111.32 });
    expect(north.latitude - START.latitude).toBeCloseTo(0.001, 9);
    const east = globalPosition(START, { x: 111.32, y: 0 });
    expect(east.longitude - START.longitude).toBeCloseTo(0.001 / Math.cos(0.43691), 6);
    expect(east.latitude).toBe(START.latitude);
  });
});
