import { describe, expect, it } from 'vitest';
import { Latencies, median, medianOfRatios, percentile } from '../../bench/lib/stats.js';

describe('percentile', () => {
  it('takes the nearest rank', () => {
    const ascending = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
    expect(percentile(ascending, 0.5)).toBe(50);
    expect(percentile(ascending, 0.99)).toBe(100);
    expect(percentile(ascending, 0.91)).toBe(100);
    expect(percentile(ascending, 0.9)).toBe(90);
    expect(percentile(ascending, 0)).toBe(10);
    expect(percentile([7], 0.5)).toBe(7);
  });

  it('has no answer for nothing', () => {
    expect(percentile([], 0.5)).toBeNaN();
  });
});

describe('median', () => {
  it('is the middle, or between the two middles, in whatever order', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it('leaves its input as it was', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe('medianOfRatios', () => {
  it('compares round with round, not median with median', () => {
    // A machine that became three times slower in the second round: each ratio is still one half.
    expect(medianOfRatios([50, 15, 60], [100, 30, 120])).toBe(0.5);
    expect(medianOfRatios([10, 90, 50], [100, 100, 500])).toBe(0.1);
  });

  it('refuses rounds that have no counterpart', () => {
    expect(() => medianOfRatios([1, 2], [1])).toThrow('2 rounds cannot be compared with 1');
  });
});

describe('Latencies', () => {
  it('keeps every sample beyond its first capacity and sorts by number', () => {
    const latencies = new Latencies();
    const count = 70_000;
    for (let ms = count; ms > 0; ms--) latencies.add(ms);
    const ascending = latencies.ascending();
    expect(ascending.length).toBe(count);
    expect([ascending[0], ascending[9], ascending.at(-1)]).toEqual([1, 10, count]);
  });
});
