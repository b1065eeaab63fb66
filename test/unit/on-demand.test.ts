import { expect, it } from 'vitest';
import { onDemand } from '../../src/lib/on-demand.js';

it('makes nothing before it is asked, and one thing for all who ask', async () => {
  let made = 0;
  const get = onDemand(async () => ({ number: ++made }));
  expect(made).toBe(0);
  const [first, second] = await Promise.all([get(), get()]);
  expect(second).toBe(first);
  expect(await get()).toBe(first);
  expect(made).toBe(1);
});

it('tells all who wait of a failure, and tries again for the next', async () => {
  let tries = 0;
  const get = onDemand(async () => {
    tries += 1;
    if (tries === 1) throw new Error('not there');
    return tries;
  });
  const outcomes = await Promise.allSettled([get(), get()]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await get()).toBe(2);
});
