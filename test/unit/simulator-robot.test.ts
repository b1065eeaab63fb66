import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SubmitAlertInput } from '../../src/contract/alerts.js';
import { PushLogInput } from '../../src/contract/logs.js';
import { KnownStatus } from '../../src/contract/status.js';
import { createRandom } from '../../src/simulator/random.js';
import {
  createSimulatedRobot,
  LOW_PERCENT,
  type SimulatedEvent,
} from '../../src/simulator/robot.js';

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** The life of one robot, a report every half second. */
function live(seed: number, seconds: number) {
  const robot = createSimulatedRobot(3, createRandom(seed));
  const reports = [];
  for (let at = 0; at < seconds; at += 0.5) reports.push(robot.advance(500));
  return reports;
}

function messages(events: SimulatedEvent[]): string[] {
  return events.map(({ body }) => body.message);
}

describe('a simulated robot', () => {
  it('lives the same life for the same seed', () => {
    expect(live(7, 60)).toEqual(live(7, 60));
    expect(live(7, 60)).not.toEqual(live(8, 60));
  });

  it('sends what the contract understands, with nothing left to warn about', () => {
    const strict = KnownStatus.strict();
    for (const { status, events } of live(11, 600)) {
      strict.parse(status);
      expect(status.laser_scan?.ranges).toHaveLength(19);
      for (const { kind, body } of events) {
        const input = { robot_id: 'r', ...body };
        if (kind === 'alert') SubmitAlertInput.strict().parse(input);
        else PushLogInput.strict().parse(input);
      }
    }
  });

  it('never runs dry, and charges at the dock until it is nearly full', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const reports = live(seed, 900);
        const levels = reports.map(({ status }) => status.battery_level ?? -1);
        expect(Math.min(...levels)).toBeGreaterThan(0);
        expect(Math.max(...levels)).toBeLessThanOrEqual(100);
        for (const [index, { status }] of reports.entries()) {
          const before = levels[index - 1] ?? 100;
          if (status.mode === 'auto') expect(levels[index]).toBeGreaterThan(LOW_PERCENT - 1);
          if (status.status === 'charging' && reports[index - 1]?.status.status === 'charging') {
            expect(levels[index]).toBeGreaterThan(before);
            expect(status.local_position).toEqual(reports[index - 1]?.status.local_position);
          }
        }
        expect(reports.some(({ status }) => status.status === 'charging')).toBe(true);
      }),
      { numRuns: 12 },
    );
  });

  it('raises one alert each time its battery gets low, and says when it docks and leaves', () => {
    const reports = live(5, 1_800);
    const events = reports.flatMap((report) => report.events);
    const alerts = events.filter(({ kind }) => kind === 'alert');
    const texts = messages(events);
    const count = (text: string) => texts.filter((message) => message === text).length;
    const lows = reports.filter(
      ({ status }, index) =>
        status.mode === 'return_to_dock' && reports[index - 1]?.status.mode !== 'return_to_dock',
    );
    expect(lows.length).toBeGreaterThan(1);
    expect(alerts).toHaveLength(lows.length);
    expect(alerts[0]?.body).toMatchObject({ alert_type: 'low_battery', severity: 'warning' });
    expect(count('docked, charging') - count('charged, back to work')).toBeLessThanOrEqual(1);
    expect(count('docked, charging')).toBeGreaterThanOrEqual(lows.length - 1);
    expect(texts[0]).toBe('started');
    expect(count('path is blocked, waiting')).toBeGreaterThan(0);
  });

  it('covers the ground that its speed allows, however long it says nothing', () => {
    const often = createSimulatedRobot(0, createRandom(21));
    const seldom = createSimulatedRobot(0, createRandom(21));
    const levels = [often, seldom].map((robot, index) => {
      let level: number | null | undefined;
      for (let at = 0; at < 10_000; at += index === 0 ? 100 : 5_000) {
        level = robot.advance(index === 0 ? 100 : 5_000).status.battery_level;
      }
      return level ?? Number.NaN;
    });
    expect(Math.abs(levels[0]! - levels[1]!)).toBeLessThan(2.5);
    const [first, second] = live(21, 1).map(({ status }) => status.local_position);
    const movedM = Math.hypot(second!.x! - first!.x!, second!.y! - first!.y!);
    expect(movedM).toBeGreaterThan(0.5);
    expect(movedM).toBeLessThan(0.85);
  });
});
