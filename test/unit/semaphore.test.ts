import { describe, expect, it } from 'vitest';
import { createSemaphore } from '../../src/lib/semaphore.js';

function gates() {
  const started: number[] = [];
  const finish: (() => void)[] = [];
  const task = (name: number) => () =>
    new Promise<number>((resolve) => {
      started.push(name);
      finish[name] = () => resolve(name);
    });
  return { started, finish, task };
}

describe('semaphore', () => {
  it('starts no more than it may and the rest in the order they came', async () => {
    const run = createSemaphore(2, 10, 'test');
    const { started, finish, task } = gates();
    const results = [0, 1, 2, 3].map((name) => run(task(name)));
    expect(started).toEqual([0, 1]);
    finish[1]!();
    expect(await results[1]).toBe(1);
    await new Promise(setImmediate);
    expect(started).toEqual([0, 1, 2]);
    finish[0]!();
    await results[0];
    await new Promise(setImmediate);
    expect(started).toEqual([0, 1, 2, 3]);
    finish[2]!();
    finish[3]!();
    expect(await Promise.all(results)).toEqual([0, 1, 2, 3]);
  });

  it('refuses at once when the queue is full, and takes more when it no longer is', async () => {
    const run = createSemaphore(1, 1, 'logins');
    const { finish, task } = gates();
    const first = run(task(0));
    const second = run(task(1));
    await expect(run(task(2))).rejects.toMatchObject({
      code: 'rate_limited',
      details: { limit: 'logins', retryAfterMs: 1_000 },
    });
    finish[0]!();
    await first;
    await new Promise(setImmediate);
    const third = run(task(3));
    finish[1]!();
    await second;
    await new Promise(setImmediate);
    finish[3]!();
    expect(await third).toBe(3);
  });

  it('gives the place back when a task fails', async () => {
    const run = createSemaphore(1, 0, 'test');
    await expect(run(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await run(async () => 'next')).toBe('next');
  });
});
