import { describe, expect, it } from 'vitest';
import { createMeter } from '../../src/simulator/meter.js';
import { createNotices } from '../../src/simulator/notices.js';

function createTime() {
  let now = 1_000_000;
  return {
    now: () => now,
    pass(ms: number) {
      now += ms;
    },
  };
}

describe('the meter of a simulation', () => {
  it('counts, and gives the rate of the last seconds alone', () => {
    const time = createTime();
    const meter = createMeter(time);
    expect(meter.read()).toMatchObject({ sent: 0, ok: 0, p50Ms: null, ratePerSecond: 0 });
    for (let second = 0; second < 10; second += 1) {
      time.pass(1_000);
      for (let index = 0; index < 10; index += 1) {
        meter.sent();
        meter.ok(5);
      }
      meter.read();
    }
    expect(meter.read()).toMatchObject({ sent: 100, ok: 100, failed: 0, seconds: 10 });
    expect(meter.read().ratePerSecond).toBeCloseTo(10);
    for (let second = 0; second < 6; second += 1) {
      time.pass(1_000);
      meter.sent();
      meter.failed();
      meter.read();
    }
    expect(meter.read()).toMatchObject({ sent: 106, ok: 100, failed: 6, ratePerSecond: 0 });
  });

  it('gives the middle of the latest answers', () => {
    const meter = createMeter(createTime());
    for (const latencyMs of [9, 1, 5]) meter.ok(latencyMs);
    expect(meter.read().p50Ms).toBe(5);
    for (let index = 0; index < 4_000; index += 1) meter.ok(2);
    expect(meter.read().p50Ms).toBe(2);
  });
});

describe('the notices of a simulation', () => {
  it('tell of a lost connection once, and when it is back', () => {
    const time = createTime();
    const told: string[] = [];
    const notices = createNotices(time, (line) => told.push(line));
    notices.reached();
    for (const _ of [1, 2, 3]) notices.lost('ECONNREFUSED');
    time.pass(2_500);
    notices.reached();
    notices.reached();
    expect(told).toEqual([
      'connection lost: ECONNREFUSED; trying again',
      'connected again after 2.5 s',
    ]);
    expect(notices.last()).toBe('connection lost: ECONNREFUSED');
  });

  it('repeat a limit only after a while', () => {
    const time = createTime();
    const told: string[] = [];
    const notices = createNotices(time, (line) => told.push(line));
    for (const _ of [1, 2, 3]) notices.slowDown('Too many requests', 1_000);
    expect(told).toEqual(['the server asks for a pause: Too many requests (waiting 1 s)']);
    time.pass(10_000);
    notices.slowDown('Too many requests', 1_000);
    expect(told).toHaveLength(2);
  });
});
