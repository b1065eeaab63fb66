import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { FleetRobot } from '../../src/services/fleet.js';
import { createRuleQueue, type RuleWork } from '../../src/services/rule-queue.js';
import { createLogBook, createStoppedClock } from '../support/identity.js';

const robot = { row: { id: 'r1' } } as FleetRobot;
const workOf = (timestamp: number, status_json = '{}'): RuleWork => ({
  robot,
  sample: { status_json, timestamp },
});

function stage(onJudge: (timestamp: number) => void = () => {}) {
  const judged: number[] = [];
  const { lines, log } = createLogBook();
  const clock = createStoppedClock();
  const queue = createRuleQueue({
    clock,
    log,
    judge({ sample }) {
      judged.push(sample?.timestamp ?? 0);
      onJudge(sample?.timestamp ?? 0);
    },
  });
  return { queue, judged, lines, clock };
}

async function turnsUntil(done: () => boolean): Promise<void> {
  while (!done()) await setImmediate();
}

describe('the queue of rules', () => {
  it('judges later, in order', async () => {
    const { queue, judged } = stage();
    for (const timestamp of [1, 2, 3]) queue.add(workOf(timestamp));
    expect(judged).toEqual([]);
    await turnsUntil(() => judged.length === 3);
    expect(judged).toEqual([1, 2, 3]);
  });

  it('lets others have a turn when there is much to judge', async () => {
    const { queue, judged } = stage(() => {
      const until = performance.now() + 1;
      while (performance.now() < until);
    });
    for (let timestamp = 1; timestamp <= 20; timestamp += 1) queue.add(workOf(timestamp));
    await turnsUntil(() => judged.length > 0);
    expect(judged.length).toBeLessThan(10);
    queue.add(workOf(21));
    await turnsUntil(() => judged.length === 21);
    expect(judged).toEqual(Array.from({ length: 21 }, (_, at) => at + 1));
  });

  it('goes on after one that cannot be judged, and complains once a minute', async () => {
    const { queue, judged, lines, clock } = stage((timestamp) => {
      if (timestamp < 3) throw new Error('not this one');
    });
    for (const timestamp of [1, 2, 3]) queue.add(workOf(timestamp));
    await turnsUntil(() => judged.length === 3);
    expect(lines).toHaveLength(1);
    clock.advance(60_000);
    queue.add(workOf(1));
    await turnsUntil(() => judged.length === 4);
    expect(lines).toHaveLength(2);
  });

  it('lets go of what is too much, by number and by length, and says so', () => {
    const many = stage();
    for (let at = 0; at < 20_010; at += 1) many.queue.add(workOf(at));
    many.queue.finish();
    expect(many.judged).toHaveLength(20_000);
    expect(many.lines).toHaveLength(1);
    const long = stage();
    const text = 'x'.repeat(1_000_000);
    for (let at = 0; at < 60; at += 1) long.queue.add(workOf(at, text));
    long.queue.finish();
    expect(long.judged).toHaveLength(51);
    expect(long.lines).toHaveLength(1);
  });

  it('takes in nothing once it is finished', async () => {
    const { queue, judged } = stage();
    queue.add(workOf(1));
    queue.finish();
    queue.add(workOf(2));
    await setImmediate();
    expect(judged).toEqual([1]);
  });
});
