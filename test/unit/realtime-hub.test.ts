import { describe, expect, it } from 'vitest';
import { DomainError } from '../../src/lib/errors.js';
import { StreamEvent } from '../../src/realtime/event.js';
import { createMemoryHub } from '../../src/realtime/hub.js';
import type { Subscriber } from '../../src/realtime/subscriber.js';

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

function event(version: number, payload: unknown = version): StreamEvent {
  return new StreamEvent({ payload, version });
}

function recorder(overrides: Partial<Subscriber> = {}) {
  const batches: number[][] = [];
  const ended: Error[] = [];
  const subscriber: Subscriber = {
    whenFull: 'end',
    write(events) {
      batches.push(events.map(({ version }) => version));
      return 'sent';
    },
    end: (reason) => void ended.push(reason),
    ...overrides,
  };
  return { subscriber, batches, ended };
}

describe('memory hub', () => {
  it('delivers the events of one tick as one batch, in order', async () => {
    const hub = createMemoryHub();
    const reader = recorder();
    hub.subscribe('a', reader.subscriber);
    hub.publish('a', event(1));
    hub.publish('a', event(2));
    await tick();
    hub.publish('a', event(3));
    await tick();
    expect(reader.batches).toEqual([[1, 2], [3]]);
  });

  it('keeps topics apart and forgets what nobody watched', async () => {
    const hub = createMemoryHub();
    const reader = recorder();
    hub.publish('a', event(1));
    hub.subscribe('a', reader.subscriber);
    hub.publish('b', event(2));
    hub.publish('a', event(3));
    await tick();
    expect(reader.batches).toEqual([[3]]);
  });

  it('writes nothing after unsubscribing, and counts who is left', async () => {
    const hub = createMemoryHub();
    const first = recorder();
    const second = recorder();
    const leave = hub.subscribe('a', first.subscriber);
    hub.subscribe('a', second.subscriber);
    hub.publish('a', event(1));
    leave();
    leave();
    expect(hub.subscriberCount()).toBe(1);
    await tick();
    expect(first.batches).toEqual([]);
    expect(second.batches).toEqual([[1]]);
  });

  it('survives a topic that empties while a batch is pending and is watched anew', async () => {
    const hub = createMemoryHub();
    const leave = hub.subscribe('a', recorder().subscriber);
    hub.publish('a', event(1));
    leave();
    const reader = recorder();
    hub.subscribe('a', reader.subscriber);
    hub.publish('a', event(2));
    await tick();
    expect(reader.batches).toEqual([[2]]);
    expect(hub.subscriberCount()).toBe(1);
  });

  it('gives other work a turn between thousands of readers, and keeps the order for each', async () => {
    const hub = createMemoryHub();
    const readers = Array.from({ length: 2_500 }, () => recorder());
    for (const { subscriber } of readers) hub.subscribe('a', subscriber);
    hub.publish('a', event(1));
    await Promise.resolve();
    const servedFirst = readers.filter(({ batches }) => batches.length > 0).length;
    expect(servedFirst).toBe(1_000);
    hub.publish('a', event(2));
    for (let turn = 0; turn < 8; turn += 1) await tick();
    for (const { batches } of readers) expect(batches).toEqual([[1], [2]]);
  });

  it('gives up a full reader that cannot skip, and says why', async () => {
    const hub = createMemoryHub();
    const reader = recorder({ write: () => 'full' });
    hub.subscribe('a', reader.subscriber);
    hub.publish('a', event(1));
    await tick();
    hub.publish('a', event(2));
    await tick();
    expect(hub.subscriberCount()).toBe(0);
    expect(reader.ended).toHaveLength(1);
    expect(reader.ended[0]).toBeInstanceOf(DomainError);
    expect(reader.ended[0]).toMatchObject({
      code: 'overloaded',
      details: { limit: 'stream_buffer' },
    });
  });

  it('goes on with a full reader that skips', async () => {
    const hub = createMemoryHub();
    let writes = 0;
    const reader = recorder({
      whenFull: 'skip',
      write() {
        writes += 1;
        return 'full';
      },
    });
    hub.subscribe('a', reader.subscriber);
    hub.publish('a', event(1));
    await tick();
    hub.publish('a', event(2));
    await tick();
    expect(writes).toBe(2);
    expect(reader.ended).toEqual([]);
  });

  it('ends a reader that throws and spares the others', async () => {
    const hub = createMemoryHub();
    const broken = recorder({
      write() {
        throw new Error('broken');
      },
    });
    const healthy = recorder();
    hub.subscribe('a', broken.subscriber);
    hub.subscribe('a', healthy.subscriber);
    hub.publish('a', event(1));
    await tick();
    expect(broken.ended[0]?.message).toBe('broken');
    expect(healthy.batches).toEqual([[1]]);
    expect(hub.subscriberCount()).toBe(1);
  });
});

describe('StreamEvent', () => {
  it('makes its JSON once', () => {
    let conversions = 0;
    const payload = {
      toJSON() {
        conversions += 1;
        return { a: 1 };
      },
    };
    const once = event(1, payload);
    expect(once.json).toBe('{"a":1}');
    expect(once.json).toBe('{"a":1}');
    expect(conversions).toBe(1);
  });
});
