import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../src/lib/errors.js';
import { StreamEvent } from '../../src/realtime/event.js';
import { Handover } from '../../src/realtime/handover.js';
import { createMemoryHub } from '../../src/realtime/hub.js';
import { type LatestOptions, latest } from '../../src/realtime/live.js';
import { createSlots } from '../../src/realtime/slots.js';

interface State {
  robot_id: string;
  n: number;
}

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

function state(robotId: string, n: number): StreamEvent<State> {
  return new StreamEvent({ payload: { robot_id: robotId, n }, key: robotId, version: n });
}

function watch(overrides: Partial<LatestOptions<State>> = {}) {
  const hub = overrides.hub ?? createMemoryHub();
  const stream = latest<State>({
    hub,
    topics: ['t'],
    snapshot: () => [],
    capBytes: 1_024,
    ...overrides,
  });
  return { hub, stream };
}

async function take<T>(stream: AsyncGenerator<T, void>, count: number): Promise<T[]> {
  const values: T[] = [];
  while (values.length < count) {
    const next = await stream.next();
    if (next.done) throw new Error(`the stream ended after ${values.length} of ${count} values`);
    values.push(next.value);
  }
  return values;
}

describe('latest', () => {
  it('gives the snapshot, then what changes', async () => {
    const { hub, stream } = watch({ snapshot: () => [state('a', 1), state('b', 2)] });
    expect(await take(stream, 2)).toEqual([
      { robot_id: 'a', n: 1, skipped: 0 },
      { robot_id: 'b', n: 2, skipped: 0 },
    ]);
    hub.publish('t', state('a', 3));
    expect(await take(stream, 1)).toEqual([{ robot_id: 'a', n: 3, skipped: 0 }]);
    await stream.return();
  });

  it('replaces what was not read and says how many', async () => {
    const { hub, stream } = watch({ snapshot: () => [state('a', 1), state('b', 2)] });
    await take(stream, 2);
    for (const n of [3, 4, 5]) hub.publish('t', state('a', n));
    hub.publish('t', state('b', 6));
    await tick();
    hub.publish('t', state('a', 7));
    await tick();
    expect(await take(stream, 2)).toEqual([
      { robot_id: 'a', n: 7, skipped: 3 },
      { robot_id: 'b', n: 6, skipped: 0 },
    ]);
    hub.publish('t', state('a', 8));
    expect(await take(stream, 1)).toEqual([{ robot_id: 'a', n: 8, skipped: 0 }]);
    await stream.return();
  });

  it('loses nothing, repeats nothing and never steps back between snapshot and live', async () => {
    const hub = createMemoryHub();
    let finishSnapshot = (_events: StreamEvent<State>[]) => {};
    const { stream } = watch({
      hub,
      snapshot: () =>
        new Promise((resolve) => {
          finishSnapshot = resolve;
        }),
    });
    const first = stream.next();
    await tick();
    hub.publish('t', state('newer-live', 9));
    hub.publish('t', state('same', 5));
    hub.publish('t', state('newer-snapshot', 5));
    await tick();
    finishSnapshot([
      state('newer-live', 4),
      state('same', 5),
      state('newer-snapshot', 6),
      state('only', 1),
    ]);
    const values = [(await first).value, ...(await take(stream, 3))];
    hub.publish('t', state('newer-snapshot', 6));
    hub.publish('t', state('last', 10));
    values.push(...(await take(stream, 1)));
    expect(values).toEqual([
      { robot_id: 'newer-live', n: 9, skipped: 0 },
      { robot_id: 'same', n: 5, skipped: 0 },
      { robot_id: 'newer-snapshot', n: 6, skipped: 1 },
      { robot_id: 'only', n: 1, skipped: 0 },
      { robot_id: 'last', n: 10, skipped: 0 },
    ]);
    await stream.return();
  });

  it('delivers once what comes through two topics', async () => {
    const { hub, stream } = watch({ topics: ['t', 'u'] });
    const first = stream.next();
    await tick();
    const both = state('a', 1);
    hub.publish('t', both);
    hub.publish('u', both);
    hub.publish('u', state('b', 2));
    expect([(await first).value, ...(await take(stream, 1))]).toEqual([
      { robot_id: 'a', n: 1, skipped: 0 },
      { robot_id: 'b', n: 2, skipped: 0 },
    ]);
    await stream.return();
    expect(hub.subscriberCount()).toBe(0);
  });

  it('filters snapshot and live values', async () => {
    const { hub, stream } = watch({
      snapshot: () => [state('a', 1), state('hidden', 2), state('b', 3)],
      filter: ({ robot_id }) => robot_id !== 'hidden',
    });
    await take(stream, 2);
    hub.publish('t', state('hidden', 4));
    hub.publish('t', state('b', 5));
    expect(await take(stream, 1)).toEqual([{ robot_id: 'b', n: 5, skipped: 0 }]);
    await stream.return();
  });

  it('leaves the hub when the signal aborts while it waits', async () => {
    const abort = new AbortController();
    const { hub, stream } = watch({ signal: abort.signal });
    const next = stream.next();
    await tick();
    expect(hub.subscriberCount()).toBe(1);
    abort.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(hub.subscriberCount()).toBe(0);
  });

  it('ends with the error that the signal was aborted for', async () => {
    const abort = new AbortController();
    const { hub, stream } = watch({ signal: abort.signal });
    const next = stream.next();
    abort.abort(new DomainError('unauthenticated', 'This key was revoked'));
    await expect(next).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(hub.subscriberCount()).toBe(0);
  });

  it('leaves the hub when the snapshot fails', async () => {
    const { hub, stream } = watch({
      snapshot: async () => {
        throw new Error('no database');
      },
    });
    await expect(stream.next()).rejects.toThrow('no database');
    expect(hub.subscriberCount()).toBe(0);
  });

  it('ends with the failure of its filter', async () => {
    const { hub, stream } = watch({
      filter() {
        throw new Error('bad filter');
      },
    });
    const next = stream.next();
    await tick();
    hub.publish('t', state('a', 1));
    await expect(next).rejects.toThrow('bad filter');
    expect(hub.subscriberCount()).toBe(0);
  });

  it('gives other work a turn during a long snapshot', async () => {
    const { stream } = watch({
      snapshot: () => Array.from({ length: 1_000 }, (_, n) => state(`r${n}`, n)),
    });
    let turns = 0;
    const count = () => {
      turns += 1;
      immediate = setImmediate(count);
    };
    let immediate = setImmediate(count);
    await take(stream, 1_000);
    clearImmediate(immediate);
    expect(turns).toBeGreaterThanOrEqual(5);
    await stream.return();
  });

  it('waits for the connection and then gives the newest value', async () => {
    const socket = new FullSocket();
    const { hub, stream } = watch({ socket });
    const next = stream.next();
    await tick();
    hub.publish('t', state('a', 1));
    await tick();
    hub.publish('t', state('a', 2));
    await tick();
    socket.drainAll();
    expect(await next).toEqual({ done: false, value: { robot_id: 'a', n: 2, skipped: 1 } });
    expect(socket.listenerCount('drain')).toBe(0);
    expect(socket.listenerCount('close')).toBe(0);
    await stream.return();
  });
});

describe('latest, for a connection that takes handovers', () => {
  /** Reads as a door does; each write takes its texts' length on the connection. */
  function read(overrides: Partial<LatestOptions<State>> = {}) {
    const socket = Object.assign(new FullSocket(), { writableLength: 0, takesHandovers: true });
    const gone = new AbortController();
    const { hub, stream } = watch({ socket, signal: gone.signal, capBytes: 20_000, ...overrides });
    const yielded: unknown[] = [];
    const writes: string[][] = [];
    const ended = (async () => {
      for await (const value of stream) {
        if (!(value instanceof Handover)) yielded.push(value);
        else {
          (value as Handover).begin({
            write: (events) => void writes.push(events.map(({ json }) => json)),
          });
        }
      }
    })();
    return { hub, socket, gone, yielded, writes, ended };
  }
  const json = (robot_id: string, n: number, skipped = 0) =>
    JSON.stringify({ robot_id, n, skipped });

  it('yields the snapshot, and hands on what changes, of each tick the newest', async () => {
    const reader = read({ snapshot: () => [state('a', 1), state('b', 2)] });
    await tick();
    for (const n of [3, 4, 5]) reader.hub.publish('t', state('a', n));
    reader.hub.publish('t', state('b', 6));
    await tick();
    reader.hub.publish('t', state('b', 6));
    reader.hub.publish('t', state('a', 7));
    await tick();
    expect(reader.yielded).toEqual([
      { robot_id: 'a', n: 1, skipped: 0 },
      { robot_id: 'b', n: 2, skipped: 0 },
    ]);
    expect(reader.writes).toEqual([[json('a', 5, 2), json('b', 6)], [json('a', 7)]]);
    reader.gone.abort();
    await reader.ended;
    expect(reader.hub.subscriberCount()).toBe(0);
  });

  it('waits when its door passes the handover over, as one does that is closing', async () => {
    const gone = new AbortController();
    const socket = Object.assign(new FullSocket(), { writableLength: 0, takesHandovers: true });
    const { hub, stream } = watch({ socket, signal: gone.signal });
    let handovers = 0;
    const ended = (async () => {
      for await (const value of stream) if (value instanceof Handover) handovers += 1;
    })();
    for (let turn = 0; turn < 5; turn += 1) await tick();
    expect(handovers).toBe(1);
    gone.abort();
    await ended;
    expect(hub.subscriberCount()).toBe(0);
  });

  it('keeps the newest while the connection is full, and says how many it stands for', async () => {
    const reader = read();
    await tick();
    reader.socket.writableLength = 20_001;
    for (const n of [1, 2, 3]) {
      reader.hub.publish('t', state('a', n));
      await tick();
    }
    reader.hub.publish('t', state('b', 4));
    await tick();
    expect(reader.writes).toEqual([]);
    reader.socket.drainAll();
    await tick();
    expect(reader.writes).toEqual([[json('a', 3, 2), json('b', 4)]]);
    expect(reader.socket.listenerCount('drain')).toBe(0);
    reader.gone.abort();
    await reader.ended;
  });

  it('hands on no more at once than the cap', async () => {
    const reader = read();
    await tick();
    for (let n = 1; n <= 1_000; n += 1) reader.hub.publish('t', state(`robot ${n}`, n));
    await tick();
    const bytes = reader.writes.map((texts) => texts.join('').length);
    expect(Math.max(...bytes)).toBeLessThan(20_200);
    expect(reader.writes.flat()).toHaveLength(1_000);
    reader.gone.abort();
    await reader.ended;
  });

  it('ends when the connection takes nothing for too long', async () => {
    const tasks = new Set<() => void>();
    const clock = {
      now: () => 0,
      every(_ms: number, task: () => void) {
        tasks.add(task);
        return () => void tasks.delete(task);
      },
    };
    const reader = read({ clock });
    await tick();
    reader.socket.writableLength = 20_001;
    reader.hub.publish('t', state('a', 1));
    await tick();
    const ended = expect(reader.ended).rejects.toMatchObject({ code: 'overloaded' });
    for (const task of tasks) task();
    await ended;
    expect(reader.socket.destroyed).toBe(true);
    expect(reader.hub.subscriberCount()).toBe(0);
  });
});

/** The numbers of a connection whose reader does not read; the integration tests use a real one. */
class FullSocket extends EventEmitter {
  writableLength = 100_000;
  writableHighWaterMark = 16_384;
  destroyed = false;

  drainAll(): void {
    this.writableLength = 0;
    this.emit('drain');
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

describe('slots', () => {
  it('deliver for every order of putting and taking: the newest of each key at last, versions growing, none uncounted', () => {
    const step = fc.oneof(
      fc.record({ key: fc.constantFrom('a', 'b', 'c'), version: fc.integer({ min: 0, max: 20 }) }),
      fc.constant('take' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const slots = createSlots<null>();
        const accepted = new Map<string, number[]>();
        const delivered = new Map<string, { version: number; skipped: number }[]>();
        const takeOne = () => {
          const slot = slots.take();
          if (!slot) return false;
          const { key, version } = slot.event;
          delivered.set(key, [...(delivered.get(key) ?? []), { version, skipped: slot.skipped }]);
          return true;
        };
        for (const each of steps) {
          if (each === 'take') {
            takeOne();
            continue;
          }
          const versions = accepted.get(each.key) ?? [];
          if (each.version > (versions.at(-1) ?? -1))
            accepted.set(each.key, [...versions, each.version]);
          slots.put(new StreamEvent({ payload: null, ...each }));
        }
        while (takeOne());
        expect([...delivered.keys()].sort()).toEqual([...accepted.keys()].sort());
        for (const [key, versions] of accepted) {
          const got = delivered.get(key) ?? [];
          expect(got.at(-1)?.version).toBe(versions.at(-1));
          expect(got.map(({ version }) => version)).toEqual(
            versions.filter((version) => got.some((one) => one.version === version)),
          );
          expect(got.reduce((sum, { skipped }) => sum + 1 + skipped, 0)).toBe(versions.length);
        }
      }),
    );
  });
});
