import type { Pose } from './path.js';
import type { Random } from './random.js';

const RAYS = 19;
const ROOM_RADIUS_M = 12;
const REACH_M = 30;
const NOISE_M = 0.02;

/**
 * What a half-circle laser sees in a round room of 12 m around `centre`, or of it from outside. Ranges in metres up to
 * its reach, which is also what it tells when there is nothing; angles in radians.
 */
export function laserScan(pose: Pose, centre: { x: number; y: number }, random: Random) {
  const [angleMin, angleMax] = [-Math.PI / 2, Math.PI / 2];
  const [dx, dy] = [pose.x - centre.x, pose.y - centre.y];
  const ranges = Array.from({ length: RAYS }, (_, ray) => {
    const angle = pose.yaw + angleMin + ((angleMax - angleMin) * ray) / (RAYS - 1);
    const towards = dx * Math.cos(angle) + dy * Math.sin(angle);
    const inside = ROOM_RADIUS_M ** 2 - (dx ** 2 + dy ** 2);
    const halfChordM = Math.sqrt(towards ** 2 + inside);
    // From outside the ray may miss the room, or meet its near wall first.
    const range = inside < 0 ? -towards - halfChordM : -towards + halfChordM;
    return range >= 0 ? round(Math.min(REACH_M, range) + (random() - 0.5) * NOISE_M, 2) : REACH_M;
  });
  return { ranges, angle_min: round(angleMin, 4), angle_max: round(angleMax, 4) };
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
