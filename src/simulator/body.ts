import { createPath, type Pose } from './path.js';
import { placeOf } from './place.js';
import { between, type Random } from './random.js';

export interface Point {
  x: number;
  y: number;
  /** Where it looks when it is there; by default the way it came. */
  yaw?: number | undefined;
}

/** What of a robot is in the world: where it is, and how it moves. The dock is the start of its path. */
export interface Body {
  /** The middle of its room. */
  readonly centre: { x: number; y: number };
  speedMetresPerSecond: number;
  pose(): Pose;
  laps(): number;
  /** On along the path, or first back to where it was left. True when the dock was passed. */
  follow(seconds: number): boolean;
  /** Straight towards a point off the path. True when it is there. */
  approach(target: Point, seconds: number): boolean;
  /** Onto the dock that was just passed. */
  park(): void;
}

export function createBody(index: number, random: Random): Body {
  const centre = placeOf(index);
  const path = createPath(random, centre);
  let distanceM = between(random, 0, path.lengthM);
  let offPath: Pose | undefined;

  const body: Body = {
    centre,
    speedMetresPerSecond: between(random, 1.1, 1.6),
    pose: () => offPath ?? path.poseAt(distanceM),
    laps: () => Math.floor(distanceM / path.lengthM),
    follow(seconds) {
      if (offPath) {
        if (body.approach(path.poseAt(distanceM), seconds)) offPath = undefined;
        return false;
      }
      const laps = body.laps();
      distanceM += body.speedMetresPerSecond * seconds;
      return body.laps() > laps;
    },
    approach({ x, y, yaw }, seconds) {
      const from = body.pose();
      const [dx, dy] = [x - from.x, y - from.y];
      const leftM = Math.hypot(dx, dy);
      const stepM = body.speedMetresPerSecond * seconds;
      const heading = leftM > 0 ? Math.atan2(dy, dx) : from.yaw;
      if (leftM <= stepM) {
        offPath = { x, y, yaw: yaw ?? heading };
        return true;
      }
      const share = stepM / leftM;
      offPath = { x: from.x + dx * share, y: from.y + dy * share, yaw: heading };
      return false;
    },
    park() {
      distanceM = body.laps() * path.lengthM;
    },
  };
  return body;
}
