import type { SubmitAlertInput } from '../contract/alerts.js';
import type { PushLogInput } from '../contract/logs.js';
import type { KnownStatus } from '../contract/status.js';
import { createPath } from './path.js';
import { globalPosition, placeOf, START } from './place.js';
import { between, type Random } from './random.js';
import { laserScan, round } from './scan.js';

export type SimulatedEvent =
  | { kind: 'logs'; body: Omit<PushLogInput, 'robot_id'> }
  | { kind: 'alert'; body: Omit<SubmitAlertInput, 'robot_id'> };

export interface SimulatedRobot {
  /** Lets time pass; how the robot is then, and what it had to say on the way. */
  advance(elapsedMs: number): { status: KnownStatus; events: SimulatedEvent[] };
}

type Activity = 'working' | 'waiting' | 'returning' | 'charging';

const SHOWN_AS: Record<Activity, { status: string; mode: string }> = {
  working: { status: 'active', mode: 'auto' },
  waiting: { status: 'idle', mode: 'auto' },
  returning: { status: 'active', mode: 'return_to_dock' },
  charging: { status: 'charging', mode: 'docked' },
};

const STEP_SECONDS = 0.2;
/** Percent per second: a working day in seven minutes, so that whoever looks on sees it. */
const DRAIN = { working: 0.25, waiting: 0.05, returning: 0.25, charging: -1.5 };
export const LOW_PERCENT = 20;
const CHARGED_PERCENT = 95;
const WAITS_PER_SECOND = 1 / 60;

/** A robot that drives laps around its dock, waits at times, and goes to charge when its battery is low. */
export function createSimulatedRobot(index: number, random: Random): SimulatedRobot {
  const centre = placeOf(index);
  const path = createPath(random, centre);
  const speedMetresPerSecond = between(random, 1.1, 1.6);
  const warmth = between(random, 0, 2 * Math.PI);
  let activity: Activity = 'working';
  let battery = between(random, 25, 95);
  let distanceM = between(random, 0, path.lengthM);
  let aliveSeconds = 0;
  let waitSeconds = 0;
  let events: SimulatedEvent[] = [log('system', 'info', 'started')];

  /** Whether the dock was passed. */
  function travel(seconds: number): boolean {
    const lap = Math.floor(distanceM / path.lengthM);
    distanceM += speedMetresPerSecond * seconds;
    return Math.floor(distanceM / path.lengthM) > lap;
  }

  function say(topic: string, level: string, message: string): void {
    events.push(log(topic, level, message));
  }

  function step(seconds: number): void {
    aliveSeconds += seconds;
    battery = Math.min(100, Math.max(0, battery - DRAIN[activity] * seconds));
    if (activity === 'working') work(seconds);
    else if (activity === 'waiting') wait(seconds);
    else if (activity === 'returning') goHome(seconds);
    else if (battery >= CHARGED_PERCENT) {
      activity = 'working';
      say('battery', 'info', 'charged, back to work');
    }
  }

  function work(seconds: number): void {
    if (travel(seconds))
      say('navigation', 'info', `lap ${Math.floor(distanceM / path.lengthM)} done`);
    if (battery <= LOW_PERCENT) {
      activity = 'returning';
      say('battery', 'warn', `battery at ${Math.floor(battery)} %, returning to the dock`);
      events.push({
        kind: 'alert',
        body: {
          alert_type: 'low_battery',
          severity: 'warning',
          message: `Battery level below ${LOW_PERCENT}%`,
          metadata: { battery_level: round(battery, 1) },
        },
      });
    } else if (random() < WAITS_PER_SECOND * seconds) {
      activity = 'waiting';
      waitSeconds = between(random, 3, 8);
      say('navigation', 'warn', 'path is blocked, waiting');
    }
  }

  function wait(seconds: number): void {
    waitSeconds -= seconds;
    if (waitSeconds > 0) return;
    activity = 'working';
    say('navigation', 'info', 'path is free again');
  }

  function goHome(seconds: number): void {
    if (!travel(seconds)) return;
    distanceM = Math.floor(distanceM / path.lengthM) * path.lengthM;
    activity = 'charging';
    say('battery', 'info', 'docked, charging');
  }

  function read(): KnownStatus {
    const pose = path.poseAt(distanceM);
    const scan = laserScan(pose, centre, random);
    const { latitude, longitude, altitude } = globalPosition(START, pose);
    const temperature = 24 + 3 * Math.sin(aliveSeconds / 60 + warmth) + (random() - 0.5) * 0.2;
    return {
      ...SHOWN_AS[activity],
      battery_level: round(battery, 1),
      local_position: { x: round(pose.x, 3), y: round(pose.y, 3), z: 0, yaw: round(pose.yaw, 4) },
      global_position: { latitude: round(latitude, 7), longitude: round(longitude, 7), altitude },
      sensor_overview: [
        { sensor_id: 'temp', sensor_type: 'Temperature', value: round(temperature, 1), unit: 'C' },
        {
          sensor_id: 'lidar',
          sensor_type: 'LaserScan',
          value: Math.min(...scan.ranges),
          unit: 'm',
        },
      ],
      laser_scan: scan,
    };
  }

  return {
    advance(elapsedMs) {
      for (let left = elapsedMs / 1_000; left > 0; left -= STEP_SECONDS) {
        step(Math.min(left, STEP_SECONDS));
      }
      const said = events;
      events = [];
      return { status: read(), events: said };
    },
  };
}

function log(topic: string, level: string, message: string): SimulatedEvent {
  return { kind: 'logs', body: { topic, level, message } };
}
