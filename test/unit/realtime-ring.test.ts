import { describe, expect, it } from 'vitest';
import { createRing } from '../../src/realtime/ring.js';

describe('a ring', () => {
  it('has the newest events, each with the next version', async () => {
    const ring = createRing<string>({ events: 3, bytes: 1_000_000 });
    expect([ring.last(), await ring.end(), await ring.horizon()]).toEqual([0, 0, 0]);
    for (const text of ['a', 'b', 'c']) ring.append(text);
    expect(await ring.horizon()).toBe(0);
    const { version, cursor } = ring.append('d');
    expect({ version, cursor }).toEqual({ version: 4, cursor: '4' });
    expect([ring.last(), await ring.end(), await ring.horizon()]).toEqual([4, 4, 1]);
    const payloads = async (after: number, limit: number) =>
      (await ring.read(after, limit)).map(({ payload }) => payload);
    expect(await payloads(0, 10)).toEqual(['b', 'c', 'd']);
    expect(await payloads(2, 1)).toEqual(['c']);
    expect(await payloads(4, 10)).toEqual([]);
  });

  it('takes no more than so many bytes, but for a single event', async () => {
    const ring = createRing<string>({ events: 100, bytes: 10_000 });
    for (let n = 0; n < 50; n += 1) ring.append('x'.repeat(1_000));
    const kept = await ring.read(0, 100);
    expect(kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBeLessThanOrEqual(10_000);
    expect(kept.length).toBeGreaterThan(1);
    expect(await ring.horizon()).toBe(50 - kept.length);
    ring.append('x'.repeat(50_000));
    expect(await ring.read(0, 100)).toHaveLength(1);
  });
});
