import { describe, expect, it } from 'vitest';
import { merge } from '../../src/lib/merge.js';

/** A source that says what it is told to. */
function createSource<T>() {
  const asked: {
    resolve(result: IteratorResult<T>): void;
    reject(error: Error): void;
  }[] = [];
  const state = { asked: 0, returned: 0 };
  const next = () => {
    state.asked += 1;
    return new Promise<IteratorResult<T>>((resolve, reject) => asked.push({ resolve, reject }));
  };
  const source = {
    next,
    return: async () => {
      state.returned += 1;
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => source,
  } as unknown as AsyncGenerator<T>;
  return {
    source,
    state,
    say: (value: T) => asked.shift()!.resolve({ done: false, value }),
    end: () => asked.shift()!.resolve({ done: true, value: undefined }),
    fail: (error: Error) => asked.shift()!.reject(error),
  };
}

describe('merged sources', () => {
  it('give what comes first, and are asked for more when that was taken', async () => {
    const [a, b] = [createSource<string>(), createSource<string>()];
    const merged = merge(a.source, b.source);
    const first = merged.next();
    b.say('b1');
    expect(await first).toEqual({ done: false, value: 'b1' });
    expect(b.state.asked).toBe(1);
    a.say('a1');
    expect(await merged.next()).toEqual({ done: false, value: 'a1' });
    expect([a.state.asked, b.state.asked]).toEqual([1, 2]);
  });

  it('end with the first that ends, and the others are told', async () => {
    const [a, b] = [createSource<string>(), createSource<string>()];
    const merged = merge(a.source, b.source);
    const next = merged.next();
    a.end();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(b.state.returned).toBe(1);
    // Nobody is left to be troubled by it.
    b.fail(new Error('late'));
  });

  it('fail with the first that fails', async () => {
    const [a, b] = [createSource<string>(), createSource<string>()];
    const merged = merge(a.source, b.source);
    const next = merged.next();
    b.fail(new Error('broken'));
    await expect(next).rejects.toThrow('broken');
    expect(a.state.returned).toBe(1);
  });
});
