import { expect, it } from 'vitest';
import { createOrderedIds } from '../../src/lib/ordered-id.js';

const VERSION_7 = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

it('makes ids that sort as they were made, within one millisecond and when the clock goes back', () => {
  let now = 1_769_342_400_000;
  const next = createOrderedIds({ now: () => now });
  const ids: string[] = [];
  for (const step of [0, 1, -5_000, 0, 60_000]) {
    now += step;
    for (let n = 0; n < 5_000; n += 1) ids.push(next());
  }
  expect(ids.every((id) => VERSION_7.test(id))).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  expect([...ids].sort()).toEqual(ids);
});

it('tells the time in an id', () => {
  const next = createOrderedIds({ now: () => 1_769_342_400_000 });
  expect(Number.parseInt(next().replace('-', '').slice(0, 12), 16)).toBe(1_769_342_400_000);
});
