import type { Body, Point } from './body.js';
import { round } from './scan.js';
import type { Outcome, Parameters, Skills } from './tasks.js';

/** What a robot is about; `hold` is what keeps it from it. */
export interface Mind {
  activity: 'working' | 'waiting' | 'returning' | 'charging' | 'moving' | 'arrived' | 'rebooting';
  hold: 'stopped' | 'paused' | null;
}

export interface SkillDeps {
  body: Body;
  mind: Mind;
  say: (topic: string, level: string, message: string) => void;
  /** Gives up every job. */
  abandon: (reason: string) => void;
}

const REACH_M = 100;
const SPEED_METRES_PER_SECOND = { min: 0.1, max: 3 };
const REBOOT_SECONDS = 3;

/** The built-in actions, as a simulated robot does them. */
export function createSkills({ body, mind, say, abandon }: SkillDeps): Skills {
  let photos = 0;

  /** Where it stands; what it charges on it goes on charging on. */
  function stand(): void {
    if (mind.activity !== 'charging') mind.activity = 'working';
  }

  /** A stop that latches is the server's: while it holds none of these come through. */
  function begin(activity: Mind['activity']): void {
    mind.hold = null;
    mind.activity = activity;
  }

  function goHome(): Outcome | ((seconds: number) => Outcome | undefined) {
    if (mind.activity === 'charging') return completed('on the dock already');
    begin('returning');
    return (seconds) => {
      if (!body.follow(seconds)) return undefined;
      body.park();
      mind.activity = 'charging';
      say('battery', 'info', 'docked, charging');
      return completed('docked');
    };
  }

  return {
    reflexes: {
      stop() {
        abandon('stopped');
        stand();
        mind.hold = 'stopped';
        say('safety', 'warn', 'stopped by command');
        return completed('stopped');
      },
      pause() {
        mind.hold ??= 'paused';
        return completed(mind.hold);
      },
      resume() {
        mind.hold = null;
        if (mind.activity === 'arrived') mind.activity = 'working';
        say('navigation', 'info', 'resumed by command');
        return completed('resumed');
      },
      set_speed({ speed }) {
        const { min, max } = SPEED_METRES_PER_SECOND;
        if (typeof speed !== 'number' || !(speed >= min && speed <= max)) {
          return failed(`speed must be from ${min} to ${max} m/s`);
        }
        body.speedMetresPerSecond = speed;
        return completed(`speed is ${speed} m/s`);
      },
      take_photo() {
        photos += 1;
        const { x, y } = body.pose();
        say('camera', 'info', `photo ${photos} taken at ${round(x, 2)}, ${round(y, 2)}`);
        return completed(`photo ${photos} taken`);
      },
    },
    jobs: {
      move_to(parameters) {
        const target = readPoint(parameters);
        if (!target) return failed('x and y must be numbers, in metres');
        const distanceM = Math.hypot(target.x - body.centre.x, target.y - body.centre.y);
        if (distanceM > REACH_M) {
          return failed(
            `${target.x}, ${target.y} is further than ${REACH_M} m from ${body.centre.x}, ${body.centre.y}`,
          );
        }
        const pace = isReal(parameters.speed) ? parameters.speed / body.speedMetresPerSecond : 1;
        begin('moving');
        return (seconds) => {
          if (!body.approach(target, seconds * Math.min(1, pace))) return undefined;
          mind.activity = 'arrived';
          say('navigation', 'info', `arrived at ${target.x}, ${target.y}`);
          return completed('arrived');
        };
      },
      return_to_base: goHome,
      dock: goHome,
      undock() {
        if (mind.activity !== 'charging') return failed('not on the dock');
        begin('working');
        say('battery', 'info', 'left the dock by command');
        return completed('undocked');
      },
      reboot({ delay_seconds }) {
        const after = mind.activity === 'charging' ? 'charging' : 'working';
        let leftSeconds = isReal(delay_seconds) ? delay_seconds : 0;
        return (seconds) => {
          leftSeconds -= seconds;
          if (leftSeconds > 0) return undefined;
          if (mind.activity !== 'rebooting') {
            leftSeconds = REBOOT_SECONDS;
            mind.activity = 'rebooting';
            say('system', 'warn', 'rebooting by command');
            return undefined;
          }
          mind.activity = after;
          say('system', 'info', 'started');
          return completed('started again');
        };
      },
    },
  };
}

function readPoint({ x, y, yaw }: Parameters): Point | undefined {
  if (!isReal(x) || !isReal(y)) return undefined;
  return { x, y, ...(isReal(yaw) && { yaw }) };
}

function isReal(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function completed(message: string): Outcome {
  return { status: 'completed', message };
}

function failed(message: string): Outcome {
  return { status: 'failed', message };
}
