import { setImmediate } from 'node:timers';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import type { FleetRobot } from './fleet.js';

/** A stored sample, as rules see it. */
export interface JudgedSample {
  status_json: string;
  timestamp: number;
}

/** A robot to be judged: by this sample, or, without one, by its presence. */
export interface RuleWork {
  robot: FleetRobot;
  sample?: JudgedSample;
}

/** What waits to be judged, judged a few milliseconds at a time between whatever else there is to do. */
export interface RuleQueue {
  /** Lets go of the work when too much is waiting. */
  add(work: RuleWork): void;
  /** Judges all that is waiting, now, and takes in nothing more. */
  finish(): void;
}

const RUN_MS = 2;
const WAITING_LIMIT = 20_000;
/** One status may be as large as a request. */
const WAITING_LIMIT_CHARACTERS = 50_000_000;
const COMPLAIN_EVERY_MS = 60_000;

export function createRuleQueue(deps: {
  judge: (work: RuleWork) => void;
  clock: Clock;
  log: Logger;
}): RuleQueue {
  const { judge, clock, log } = deps;
  let waiting: RuleWork[] = [];
  let next = 0;
  let characters = 0;
  let isScheduled = false;
  let isFinished = false;
  let complainedMs = Number.NEGATIVE_INFINITY;

  function complain(fields: object, message: string): void {
    const now = clock.now();
    if (now - complainedMs < COMPLAIN_EVERY_MS) return;
    complainedMs = now;
    log.error(fields, message);
  }

  function run(untilMs: number): void {
    while (next < waiting.length && performance.now() < untilMs) {
      const work = waiting[next++] as RuleWork;
      characters -= work.sample?.status_json.length ?? 0;
      try {
        judge(work);
      } catch (error) {
        complain({ err: error, robot_id: work.robot.row.id }, 'a status could not be judged');
      }
    }
    waiting = waiting.slice(next);
    next = 0;
  }

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      run(performance.now() + RUN_MS);
      if (waiting.length > 0) schedule();
    });
  }

  return {
    add(work) {
      if (isFinished) return;
      const isFull =
        waiting.length - next >= WAITING_LIMIT || characters > WAITING_LIMIT_CHARACTERS;
      if (isFull) {
        complain(
          { robot_id: work.robot.row.id },
          'more statuses arrive than alert rules can judge',
        );
        return;
      }
      waiting.push(work);
      characters += work.sample?.status_json.length ?? 0;
      schedule();
    },
    finish() {
      isFinished = true;
      run(Number.POSITIVE_INFINITY);
    },
  };
}
