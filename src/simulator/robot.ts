import type { SubmitAlertInput } from '../contract/alerts.js';
import type { CommandFrame } from '../contract/commands.js';
import type { PushLogInput } from '../contract/logs.js';
import type { KnownStatus } from '../contract/status.js';
import { createBody } from './body.js';
import { globalPosition, START } from './place.js';
import { between, type Random } from './random.js';
import { laserScan, round } from './scan.js';
import { createSkills, type Mind } from './skills.js';
import { type Ack, createTasks } from './tasks.js';

export type SimulatedEvent =
  | { kind: 'logs'; body: Omit<PushLogInput, 'robot_id'> }
  | { kind: 'alert'; body: Omit<SubmitAlertInput, 'robot_id'> }
  | { kind: 'ack'; body: Ack };

export interface SimulatedRobot {
  /** Lets time pass; how the robot is then (null while it is off), and what it had to say on the way. */
  advance(elapsedMs: number): { status: KnownStatus | null; events: SimulatedEvent[] };
  /** Takes a command; what it answers comes with the next `advance`. */
  receive(command: Pick<CommandFrame, 'id' | 'type' | 'parameters'>): void;
}

const SHOWN_AS: Record<Mind['activity'] | 'stopped' | 'paused', { status: string; mode: string }> =
  {
    working: { status: 'active', mode: 'auto' },
    waiting: { status: 'idle', mode: 'auto' },
    returning: { status: 'active', mode: 'return_to_dock' },
    charging: { status: 'charging', mode: 'docked' },
    moving: { status: 'active', mode: 'command' },
    arrived: { status: 'idle', mode: 'command' },
    rebooting: { status: 'rebooting', mode: 'off' },
    stopped: { status: 'stopped', mode: 'stopped' },
    paused: { status: 'paused', mode: 'paused' },
  };

const STEP_SECONDS = 0.2;
/** Percent per second: a working day in seven minutes, so that whoever looks on sees it. */
const DRAIN = { driving: 0.25, standing: 0.05, charging: -1.5 };
export const LOW_PERCENT = 20;
const CHARGED_PERCENT = 95;
const WAITS_PER_SECOND = 1 / 60;

/**
 * A robot that drives laps around its dock, waits at times, and goes to charge when its battery is low; and that does
 * what it is told.
 */
export function createSimulatedRobot(index: number, random: Random): SimulatedRobot {
  const body = createBody(index, random);
  const warmth = between(random, 0, 2 * Math.PI);
  const mind: Mind = { activity: 'working', hold: null };
  const abandon = (reason: string) => tasks.abandon(reason);
  const tasks = createTasks(createSkills({ body, mind, say, abandon }), (ack) =>
    events.push({ kind: 'ack', body: ack }),
  );
  let battery = between(random, 25, 95);
  let aliveSeconds = 0;
  let waitSeconds = 0;
  let isOff = false;
  let events: SimulatedEvent[] = [];
  say('system', 'info', 'started');

  function say(topic: string, level: string, message: string): void {
    events.push({ kind: 'logs', body: { topic, level, message } });
  }

  function step(seconds: number): void {
    aliveSeconds += seconds;
    battery = Math.min(100, Math.max(0, battery - drain() * seconds));
    if (mind.hold === 'paused' || tasks.step(seconds) || mind.hold === 'stopped') return;
    const { activity } = mind;
    if (activity === 'working') work(seconds);
    else if (activity === 'waiting') wait(seconds);
    else if (activity === 'returning') goHome(seconds);
    else if (activity === 'arrived') returnWhenLow();
    else if (activity === 'charging' && battery >= CHARGED_PERCENT) {
      mind.activity = 'working';
      say('battery', 'info', 'charged, back to work');
    }
  }

  function drain(): number {
    if (mind.activity === 'charging') return DRAIN.charging;
    const isDriving = ['working', 'returning', 'moving'].includes(mind.activity);
    return isDriving && mind.hold === null ? DRAIN.driving : DRAIN.standing;
  }

  function work(seconds: number): void {
    if (body.follow(seconds)) say('navigation', 'info', `lap ${body.laps()} done`);
    if (returnWhenLow()) return;
    if (random() < WAITS_PER_SECOND * seconds) {
      mind.activity = 'waiting';
      waitSeconds = between(random, 3, 8);
      say('navigation', 'warn', 'path is blocked, waiting');
    }
  }

  function returnWhenLow(): boolean {
    if (battery > LOW_PERCENT) return false;
    mind.activity = 'returning';
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
    return true;
  }

  function wait(seconds: number): void {
    waitSeconds -= seconds;
    if (waitSeconds > 0) return;
    mind.activity = 'working';
    say('navigation', 'info', 'path is free again');
  }

  function goHome(seconds: number): void {
    if (!body.follow(seconds)) return;
    body.park();
    mind.activity = 'charging';
    say('battery', 'info', 'docked, charging');
  }

  /** A robot that goes off says so once. */
  function readUnlessOff(): KnownStatus | null {
    const wasOff = isOff;
    isOff = mind.activity === 'rebooting';
    return isOff && wasOff ? null : read();
  }

  function read(): KnownStatus {
    const pose = body.pose();
    const scan = laserScan(pose, body.centre, random);
    const { latitude, longitude, altitude } = globalPosition(START, pose);
    const temperature = 24 + 3 * Math.sin(aliveSeconds / 60 + warmth) + (random() - 0.5) * 0.2;
    return {
      ...SHOWN_AS[isOff ? 'rebooting' : (mind.hold ?? mind.activity)],
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
      return { status: readUnlessOff(), events: said };
    },
    receive: tasks.receive,
  };
}
