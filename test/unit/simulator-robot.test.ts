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
  type SimulatedRobot,
} from '../../src/simulator/robot.js';

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** Time passes for a robot that is on; a report every half second. */
function spend(robot: SimulatedRobot, seconds: number) {
  const reports = [];
  for (let at = 0; at < seconds; at += 0.5) {
    const { status, events } = robot.advance(500);
    if (!status) throw new Error('the robot is off');
    reports.push({ status, events });
  }
  return reports;
}

/** The life of one robot. */
function live(seed: number, seconds: number) {
  return spend(createSimulatedRobot(3, createRandom(seed)), seconds);
}

function messages(events: SimulatedEvent[]): (string | null | undefined)[] {
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
        else if (kind === 'logs') PushLogInput.strict().parse(input);
        else expect.unreachable('nobody told it to do anything');
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
        level = robot.advance(index === 0 ? 100 : 5_000).status?.battery_level;
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

describe('a simulated robot that is told what to do', () => {
  function start(seed = 4) {
    const robot = createSimulatedRobot(0, createRandom(seed));
    let sent = 0;
    spend(robot, 1);
    return {
      robot,
      send(type: string, parameters: Record<string, unknown> = {}) {
        const id = `c${++sent}`;
        robot.receive({ id, type, parameters });
        return id;
      },
      /** How it is and what it has said to its commands, `id status`, after this long. */
      wait(seconds: number) {
        const reports = spend(robot, Math.max(0.5, seconds));
        const events = reports.flatMap((report) => report.events);
        const status = reports.at(-1)!.status;
        return {
          ...{ reports, events, status, place: status.local_position! },
          acks: acksOf(events).map(({ command_id, status }) => `${command_id} ${status}`),
        };
      },
    };
  }
  const acksOf = (events: SimulatedEvent[]) =>
    events.flatMap((event) => (event.kind === 'ack' ? [event.body] : []));

  it('stops at once, stays where it is, and goes on when it is told to', () => {
    const { send, wait } = start();
    const { status } = wait(2);
    expect(status.status).toBe('active');
    send('stop');
    const stopped = wait(60);
    expect(stopped.acks).toEqual(['c1 completed']);
    const places = new Set(
      stopped.reports.map(({ status }) => JSON.stringify(status.local_position)),
    );
    expect(places.size).toBe(1);
    expect(stopped.status).toMatchObject({ status: 'stopped', mode: 'stopped' });
    send('resume');
    const going = wait(2);
    expect(going.acks).toEqual(['c2 completed']);
    expect(going.status).toMatchObject({ status: 'active', mode: 'auto' });
    expect(going.place).not.toEqual(stopped.place);
  });

  it('drives to where it is sent, stays there, and finds its path again', () => {
    const { send, wait } = start();
    send('move_to', { x: 3.5, y: -1.25, yaw: 0.5 });
    const begun = wait(1);
    expect(begun.acks).toEqual(['c1 in_progress']);
    expect(begun.status).toMatchObject({ status: 'active', mode: 'command' });
    const there = wait(30);
    expect(there.acks).toEqual(['c1 completed']);
    expect(there.status).toMatchObject({ status: 'idle', mode: 'command' });
    expect(there.place).toEqual({ x: 3.5, y: -1.25, z: 0, yaw: 0.5 });
    expect(wait(10).place).toEqual(there.place);
    send('resume');
    const back = wait(120);
    expect(back.reports[0]!.status.status).toBe('active');
    // Between two reports it moves no further than it can: it drives back, it does not jump.
    for (const [index, { status }] of back.reports.entries()) {
      const { x, y } = (back.reports[index - 1]?.status ?? there.status).local_position!;
      const { x: nextX, y: nextY } = status.local_position!;
      expect(Math.hypot(nextX! - x!, nextY! - y!)).toBeLessThan(0.9);
    }
  });

  it('does its jobs one after the other, each once, and gives them all up on stop', () => {
    const { robot, send, wait } = start();
    send('move_to', { x: 2, y: 0 });
    send('move_to', { x: -2, y: 0 });
    robot.receive({ id: 'c1', type: 'move_to', parameters: { x: 2, y: 0 } });
    const { acks } = wait(60);
    expect(acks).toEqual([...['c1 in_progress', 'c1 completed', 'c2 in_progress', 'c2 completed']]);
    robot.receive({ id: 'c2', type: 'move_to', parameters: {} });
    expect(wait(1).acks).toEqual(['c2 completed']);

    send('move_to', { x: 2, y: 0 });
    send('dock');
    wait(0.5);
    send('stop');
    expect(wait(1).acks).toEqual([...['c3 failed', 'c4 failed', 'c5 completed']]);
    send('move_to', { x: 1, y: 1 });
    const moved = wait(30);
    expect(moved.acks.at(-1)).toBe('c6 completed');
    expect(moved.place).toMatchObject({ x: 1, y: 1 });
  });

  it('drives home, charges and leaves again', () => {
    const { send, wait } = start();
    send('undock');
    expect(wait(1).acks.at(-1)).toBe('c1 failed');
    send('return_to_base');
    let home = wait(0.5);
    for (let at = 0; at < 100 && !home.acks.includes('c2 completed'); at += 0.5) home = wait(0.5);
    expect(home.status).toMatchObject({ status: 'charging', mode: 'docked' });
    send('dock');
    expect(wait(1).acks).toEqual(['c3 in_progress', 'c3 completed']);
    send('undock');
    const left = wait(1);
    expect(left.acks.at(-1)).toBe('c4 completed');
    expect(left.status.mode).toBe('auto');
  });

  it('pauses and resumes with its job', () => {
    const { send, wait } = start();
    send('move_to', { x: 4, y: 4 });
    wait(1);
    send('pause');
    const paused = wait(20);
    expect(paused.acks).toEqual(['c2 completed']);
    expect(paused.status.status).toBe('paused');
    expect(paused.place).toEqual(paused.reports[0]!.status.local_position);
    send('resume');
    expect(wait(30).acks).toEqual(['c3 completed', 'c1 completed']);
  });

  it('drives as fast as it is told', () => {
    const { send, wait } = start();
    send('set_speed', { speed: 0.5 });
    const { reports, acks } = wait(1);
    expect(acks).toEqual(['c1 completed']);
    const [from, to] = reports.map(({ status }) => status.local_position!);
    expect(Math.hypot(to!.x! - from!.x!, to!.y! - from!.y!)).toBeCloseTo(0.25, 1);
    send('set_speed', { speed: 100 });
    expect(wait(1).acks.at(-1)).toBe('c2 failed');
  });

  it('takes a photo', () => {
    const { send, wait } = start();
    send('take_photo');
    const { events, acks } = wait(1);
    expect(acks).toEqual(['c1 completed']);
    expect(messages(events)).toContainEqual(expect.stringMatching(/^photo 1 taken at /));
  });

  it('is away for a while when it reboots, and says nothing meanwhile but that it goes', () => {
    const { robot, send } = start();
    send('reboot');
    const reports = Array.from({ length: 8 }, () => robot.advance(500));
    const shown = reports.map(({ status }) => status?.status ?? null);
    expect(shown).toEqual(['rebooting', null, null, null, null, null, 'active', 'active']);
    const events = reports.flatMap((report) => report.events);
    expect(acksOf(events).map(({ status }) => status)).toEqual([...['in_progress', 'completed']]);
    expect(messages(events).filter((message) => message === 'started')).toHaveLength(1);
  });

  it.each([
    ['fly', {}, 'This robot cannot fly'],
    ['constructor', {}, 'This robot cannot constructor'],
    ['move_to', {}, 'x and y must be numbers, in metres'],
    ['move_to', { x: 'far', y: 1 }, 'x and y must be numbers, in metres'],
    ['move_to', { x: 1_000, y: 0 }, '1000, 0 is further than 100 m from 0, 0'],
  ])('says why it does not do %s %j', (type, parameters, message) => {
    const { send, wait } = start();
    send(type, parameters);
    const { events, status } = wait(1);
    expect(acksOf(events).at(-1)).toEqual({ command_id: 'c1', status: 'failed', message });
    expect(status.status).toBe('active');
  });

  it('sends what the contract understands, wherever it is', () => {
    const strict = KnownStatus.strict();
    const { send, wait } = start();
    send('move_to', { x: -60, y: 60 });
    const { reports, status } = wait(150);
    expect(status.local_position).toMatchObject({ x: -60, y: 60 });
    for (const { status } of reports) {
      strict.parse(status);
      expect(status.laser_scan?.ranges?.every((range) => range !== null && range <= 30)).toBe(true);
    }
  });
});
