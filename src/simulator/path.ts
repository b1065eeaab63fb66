import { between, type Random } from './random.js';

/** Metres in the map frame; yaw in radians, counter-clockwise from x, from -π to π. */
export interface Pose {
  x: number;
  y: number;
  yaw: number;
}

/** A closed curve without corners. */
export interface Path {
  lengthM: number;
  /** Where one is after `distanceM` along the path, any number of laps included. The start is the dock. */
  poseAt(distanceM: number): Pose;
}

const SEGMENTS = 720;

/** A circle of 5 to 9 m with dents, different for every robot. */
export function createPath(random: Random, centre: { x: number; y: number }): Path {
  const radiusM = between(random, 5, 9);
  const waves = [2, 3].map((count) => ({
    count,
    depth: between(random, 0.03, 0.12),
    phase: between(random, 0, 2 * Math.PI),
  }));

  function poseAtAngle(angle: number): Pose {
    let radius = radiusM;
    let slope = 0;
    for (const { count, depth, phase } of waves) {
      radius += radiusM * depth * Math.cos(count * angle + phase);
      slope -= radiusM * depth * count * Math.sin(count * angle + phase);
    }
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    return {
      x: centre.x + radius * cos,
      y: centre.y + radius * sin,
      yaw: Math.atan2(slope * sin + radius * cos, slope * cos - radius * sin),
    };
  }

  /** The distance at the end of each segment: equal angles are not equal distances. */
  const ends = [0];
  for (let index = 1; index <= SEGMENTS; index += 1) {
    const from = poseAtAngle(((index - 1) / SEGMENTS) * 2 * Math.PI);
    const to = poseAtAngle((index / SEGMENTS) * 2 * Math.PI);
    ends.push((ends.at(-1) ?? 0) + Math.hypot(to.x - from.x, to.y - from.y));
  }
  const lengthM = ends.at(-1) ?? 0;

  return {
    lengthM,
    poseAt(distanceM) {
      const along = distanceM - Math.floor(distanceM / lengthM) * lengthM;
      const index = Math.max(1, firstAtLeast(ends, along));
      const [from, to] = [ends[index - 1] ?? 0, ends[index] ?? lengthM];
      const share = (along - from) / (to - from);
      return poseAtAngle(((index - 1 + share) / SEGMENTS) * 2 * Math.PI);
    },
  };
}

/** The index of the first of ascending `values` that is not below `wanted`. */
function firstAtLeast(values: readonly number[], wanted: number): number {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
