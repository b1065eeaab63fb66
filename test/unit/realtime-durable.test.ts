import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../src/lib/errors.js';
import { type Durable, type DurableOptions, durable } from '../../src/realtime/durable.js';
import { StreamEvent } from '../../src/realtime/event.js';
import { Handover } from '../../src/realtime/handover.js';
import { createMemoryHub } from '../../src/realtime/hub.js';

interface Line {
  n: number;
  text: string;
}

const CAP_BYTES = 100_000;
const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A log in memory: what is appended can be read at once, and is told to the hub. */
function createLog() {
  const hub = createMemoryHub();
  const events: StreamEvent<Line>[] = [];
  let version = 0;
  let horizon = 0;
  const reads: { after: number; limit: number }[] = [];
  /** Awaited by every read, before and after it looks. */
  const hold = { before: async () => {}, after: async () => {} };
  function store(text = ''): StreamEvent<Line> {
    version += 1;
    const event = new StreamEvent({ payload: { n: version, text }, version });
    events.push(event);
    return event;
  }
  return {
    hub,
    reads,
    hold,
    store,
    publish: (event: StreamEvent<Line>) => hub.publish('log', event),
    append: (text?: string) => hub.publish('log', store(text)),
    deleteUpTo(last: number) {
      while (events[0] && events[0].version <= last) events.shift();
      horizon = Math.max(horizon, last);
    },
    versions: () => events.map((event) => event.version),
    source: {
      async read(after: number, limit: number) {
        reads.push({ after, limit });
        await hold.before();
        const page = events.filter((event) => event.version > after).slice(0, limit);
        await hold.after();
        return page;
      },
      end: async () => events.at(-1)?.version ?? 0,
      horizon: async () => horizon,
    },
  };
}

function open(
  log: ReturnType<typeof createLog>,
  after: number | null,
  options: Partial<DurableOptions<Line>> = {},
) {
  const { hub, source } = log;
  return durable<Line>({ hub, source, topic: 'log', after, capBytes: CAP_BYTES, ...options });
}

/** Items as they come: `start 3`, `reset 3 after 9`, `4`. */
function told(item: Durable<Line>): string {
  if (item.kind === 'start') return `start ${item.cursor}`;
  if (item.kind === 'reset') return `reset ${item.cursor} after ${item.begins_after}`;
  expect(item.event.version).toBe(item.cursor);
  return String(item.cursor);
}

async function take(stream: AsyncGenerator<Durable<Line>, void>, count: number): Promise<string[]> {
  const items: string[] = [];
  while (items.length < count) {
    const next = await stream.next();
    if (next.done) throw new Error(`the stream ended after ${items.length} of ${count}: ${items}`);
    items.push(told(next.value));
  }
  return items;
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index));

/** A connection with a queue that the test fills and empties. */
function createSocket(options: { canGiveUp?: boolean; takesHandovers?: boolean } = {}) {
  const emitter = new EventEmitter();
  const reasons: string[] = [];
  const socket = {
    writableLength: 0,
    writableHighWaterMark: 16_384,
    destroyed: false,
    takesHandovers: options.takesHandovers ?? false,
    once: emitter.once.bind(emitter),
    off: emitter.off.bind(emitter),
    destroy() {
      socket.destroyed = true;
      emitter.emit('close');
    },
    ...(options.canGiveUp && { giveUp: (reason: string) => void reasons.push(reason) }),
  };
  return { socket, emitter, reasons };
}

describe('a durable stream', () => {
  it('begins with what comes from now on when there is no cursor', async () => {
    const log = createLog();
    for (let n = 1; n <= 3; n += 1) log.append();
    const stream = open(log, null);
    expect(await take(stream, 1)).toEqual(['start 3']);
    log.append();
    log.append();
    expect(await take(stream, 2)).toEqual(['4', '5']);
    await stream.return();
    expect(log.hub.subscriberCount()).toBe(0);
  });

  it('says at once where it goes on, before anything has happened', async () => {
    const log = createLog();
    for (let n = 1; n <= 3; n += 1) log.append();
    const stream = open(log, 3);
    expect(await take(stream, 1)).toEqual(['start 3']);
    await stream.return();
  });

  it('replays after the cursor in pages, then goes on live', async () => {
    const log = createLog();
    for (let n = 1; n <= 450; n += 1) log.store();
    const stream = open(log, 7);
    expect(await take(stream, 444)).toEqual(['start 7', ...range(8, 450)]);
    log.append();
    expect(await take(stream, 1)).toEqual(['451']);
    const readsSoFar = log.reads.length;
    log.append();
    expect(await take(stream, 1)).toEqual(['452']);
    expect(log.reads).toHaveLength(readsSoFar);
    expect(log.reads.length).toBeGreaterThan(4);
    await stream.return();
  });

  it('gives once what is stored before and published after the page that has it', async () => {
    const log = createLog();
    const stored = [1, 2, 3].map(() => log.store());
    const stream = open(log, 0);
    expect(await take(stream, 4)).toEqual(['start 0', '1', '2', '3']);
    for (const event of stored) log.publish(event);
    log.append();
    expect(await take(stream, 1)).toEqual(['4']);
    await stream.return();
  });

  it('misses nothing that is stored and published between reading and handing out', async () => {
    const log = createLog();
    log.append();
    const stream = open(log, 0);
    await take(stream, 1);
    log.hold.before = async () => {
      log.hold.before = async () => {};
      log.append();
      await tick();
    };
    log.hold.after = async () => {
      log.hold.after = async () => {};
      log.append();
      await tick();
      log.append();
    };
    expect(await take(stream, 4)).toEqual(['1', '2', '3', '4']);
    await stream.return();
  });

  it('filters live events; the source filters its own', async () => {
    const log = createLog();
    const stream = open(log, null, { filter: ({ n }) => n % 2 === 0 });
    await take(stream, 1);
    const first = stream.next();
    await tick();
    for (let n = 1; n <= 6; n += 1) log.append();
    expect(told((await first).value!)).toBe('2');
    expect(await take(stream, 2)).toEqual(['4', '6']);
    await stream.return();
  });

  it('reads on where others may have been stored that were not published', async () => {
    const log = createLog();
    const stream = open(log, null);
    await take(stream, 1);
    const publish = (event: StreamEvent<Line>, stretch: number) => {
      const { payload, version } = event;
      log.publish(new StreamEvent({ payload, version, stretch }));
    };
    publish(log.store(), 1);
    expect(await take(stream, 1)).toEqual(['1']);
    publish(log.store(), 1);
    expect(await take(stream, 1)).toEqual(['2']);
    const next = stream.next();
    await tick();
    const readsSoFar = log.reads.length;
    log.store('of another server');
    log.store('of another server');
    publish(log.store(), 2);
    publish(log.store(), 2);
    expect([told((await next).value!), ...(await take(stream, 3))]).toEqual(['3', '4', '5', '6']);
    expect(log.reads.length).toBeGreaterThan(readsSoFar);
    await stream.return();
  });

  it('gives every event once, in order, however storing, publishing and reading interleave', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 40 }),
        fc.nat({ max: 40 }),
        fc.array(fc.constantFrom('append', 'late', 'flush', 'take', 'tick'), { maxLength: 120 }),
        fc.scheduler(),
        async (stored, after, steps, scheduler) => {
          const log = createLog();
          for (let n = 1; n <= stored; n += 1) log.store('x'.repeat(n));
          log.hold.before = () => scheduler.schedule(Promise.resolve());
          log.hold.after = () => scheduler.schedule(Promise.resolve());
          const from = Math.min(after, stored);
          const stream = open(log, from, { capBytes: 3_000 });
          const seen: string[] = [];
          const late: StreamEvent<Line>[] = [];
          const isLast = (n: string | undefined) => n === String(log.versions().at(-1));
          let done = false;
          const reader = (async () => {
            for await (const item of stream) {
              seen.push(told(item));
              await scheduler.schedule(Promise.resolve());
              if (done && isLast(seen.at(-1))) return;
            }
          })();
          for (const step of steps) {
            if (step === 'append' && late.length === 0) log.append('live');
            if (step === 'late') late.push(log.store('late'));
            if (step === 'flush') for (const event of late.splice(0)) log.publish(event);
            if (step === 'take' && scheduler.count() > 0) await scheduler.waitOne();
            if (step === 'tick') await tick();
          }
          for (const event of late) log.publish(event);
          done = true;
          log.append('the last');
          await scheduler.waitFor(reader);
          expect(seen).toEqual([`start ${from}`, ...range(from + 1, log.versions().at(-1)!)]);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a durable stream whose connection takes handovers', () => {
  /** Reads as a door does: what is yielded, and what its sink is given. */
  function read(
    log: ReturnType<typeof createLog>,
    after: number | null,
    options: Partial<DurableOptions<Line>> & { beforeHandover?: () => Promise<void> } = {},
  ) {
    const { beforeHandover = async () => {}, ...rest } = options;
    const { socket, reasons, emitter } = createSocket({ canGiveUp: true, takesHandovers: true });
    const gone = new AbortController();
    const stream = open(log, after, { socket, signal: gone.signal, ...rest });
    const seen: string[] = [];
    const writes: string[][] = [];
    let handovers = 0;
    const ended = (async () => {
      for await (const item of stream) {
        if (!(item instanceof Handover)) {
          seen.push(told(item));
          continue;
        }
        await beforeHandover();
        handovers += 1;
        item.begin({
          write(events) {
            const versions = events.map(({ version }) => String(version));
            writes.push(versions);
            seen.push(...versions);
          },
        });
      }
    })();
    return {
      ...{ socket, reasons, emitter, gone, seen, writes, ended },
      handovers: () => handovers,
    };
  }

  it('is handed over when it has everything, and is yielded nothing more', async () => {
    const log = createLog();
    for (let n = 1; n <= 30; n += 1) log.store();
    const reader = read(log, 0);
    await tick();
    await tick();
    expect(reader.seen).toEqual(['start 0', ...range(1, 30)]);
    expect(reader.handovers()).toBe(1);
    log.append();
    log.append();
    await tick();
    log.append();
    await tick();
    expect(reader.writes).toEqual([['31', '32'], ['33']]);
    reader.gone.abort();
    await reader.ended;
    log.append();
    await tick();
    expect(reader.seen.at(-1)).toBe('33');
    expect(log.hub.subscriberCount()).toBe(0);
  });

  it('is given at once what came on the way to the door', async () => {
    const log = createLog();
    const reader = read(log, null, {
      async beforeHandover() {
        log.append();
        await tick();
        log.append();
        await tick();
      },
    });
    await tick();
    await tick();
    await tick();
    log.append();
    await tick();
    expect(reader.writes).toEqual([['1', '2'], ['3']]);
    reader.gone.abort();
    await reader.ended;
  });

  it('ends behind its last event, whether that is yielded or handed on', async () => {
    const endsWith = ({ text }: Line) => text === 'last';
    const log = createLog();
    const watching = read(log, null, { endsWith });
    await tick();
    await tick();
    for (const text of ['', 'last', 'more']) {
      log.append(text);
      await tick();
    }
    await watching.ended;
    expect(watching.seen).toEqual(['start 0', '1', '2']);
    expect(watching.handovers()).toBe(1);
    const late = read(log, 0, { endsWith });
    await late.ended;
    expect(late.seen).toEqual(['start 0', '1', '2']);
    expect(late.handovers()).toBe(0);
    expect(log.hub.subscriberCount()).toBe(0);
  });

  it('waits when its door passes the handover over, as one does that is closing', async () => {
    const log = createLog();
    const { socket } = createSocket({ takesHandovers: true });
    const stream = open(log, null, { socket });
    let handovers = 0;
    const ended = (async () => {
      for await (const item of stream) if (item instanceof Handover) handovers += 1;
    })();
    for (let turn = 0; turn < 5; turn += 1) await tick();
    expect(handovers).toBe(1);
    log.append();
    for (let turn = 0; turn < 5; turn += 1) await tick();
    expect(handovers).toBe(2);
    socket.destroy();
    await ended;
    expect(log.hub.subscriberCount()).toBe(0);
  });

  it('is not handed over yet when there is more to read by then', async () => {
    const log = createLog();
    let isFirst = true;
    const reader = read(log, null, {
      async beforeHandover() {
        if (!isFirst) return;
        isFirst = false;
        log.store('of another server');
        const { payload, version } = log.store();
        log.publish(new StreamEvent({ payload, version, stretch: 1 }));
        await tick();
        log.hold.before = async () => {
          log.hold.before = async () => {};
          const next = log.store();
          log.publish(new StreamEvent({ payload: next.payload, version: 3, stretch: 1 }));
          await tick();
        };
      },
    });
    for (let turn = 0; turn < 5; turn += 1) await tick();
    expect(reader.seen).toEqual(['start 0', '1', '2', '3']);
    expect(reader.handovers()).toBe(2);
    reader.gone.abort();
    await reader.ended;
  });

  it('reads on where others may have been stored that were not published, and is handed over again', async () => {
    const log = createLog();
    const reader = read(log, null);
    await tick();
    const publish = (event: StreamEvent<Line>, stretch: number) => {
      const { payload, version } = event;
      log.publish(new StreamEvent({ payload, version, stretch }));
    };
    publish(log.store(), 1);
    await tick();
    expect(reader.handovers()).toBe(2);
    publish(log.store(), 1);
    publish(log.store(), 1);
    await tick();
    log.store('of another server');
    log.store('of another server');
    publish(log.store(), 2);
    publish(log.store(), 2);
    await tick();
    publish(log.store(), 2);
    await tick();
    expect(reader.handovers()).toBe(3);
    expect(reader.seen).toEqual(['start 0', ...range(1, 8)]);
    expect(reader.writes).toEqual([['2', '3'], ['8']]);
    reader.gone.abort();
    await reader.ended;
  });

  it('is handed what its filter takes', async () => {
    const log = createLog();
    const reader = read(log, null, { filter: ({ n }) => n % 2 === 0 });
    await tick();
    for (let n = 1; n <= 6; n += 1) log.append();
    await tick();
    log.append();
    await tick();
    expect(reader.writes).toEqual([['2', '4', '6']]);
    reader.gone.abort();
    await reader.ended;
  });

  it('is given a burst above the cap from the source, one event after the other', async () => {
    const log = createLog();
    const reader = read(log, null);
    await tick();
    for (let n = 1; n <= 300; n += 1) log.append('x'.repeat(1_000));
    for (let turn = 0; turn < 10; turn += 1) await tick();
    expect(reader.seen).toEqual(['start 0', ...range(1, 300)]);
    expect(reader.writes).toEqual([]);
    expect(reader.reasons).toEqual([]);
    log.append();
    await tick();
    expect(reader.writes).toEqual([['301']]);
    reader.gone.abort();
    await reader.ended;
  });

  it('has its connection given up above the cap, and is given nothing more', async () => {
    const log = createLog();
    const reader = read(log, null);
    await tick();
    reader.socket.writableLength = 20_000;
    log.append();
    await tick();
    expect(reader.writes).toEqual([['1']]);
    reader.socket.writableLength = CAP_BYTES;
    log.append();
    await tick();
    log.append();
    await tick();
    expect(reader.reasons).toEqual([expect.stringContaining('too slow')]);
    expect(reader.writes).toEqual([['1']]);
    expect(log.hub.subscriberCount()).toBe(0);
    reader.emitter.emit('close');
    await reader.ended;
    expect(reader.emitter.listenerCount('drain') + reader.emitter.listenerCount('close')).toBe(0);
  });

  it("ends with the signal's own error when it has one for the reader", async () => {
    const log = createLog();
    const reader = read(log, null);
    await tick();
    const ended = expect(reader.ended).rejects.toThrow('Invalid certification key');
    reader.gone.abort(new DomainError('unauthenticated', 'Invalid certification key'));
    await ended;
  });

  it('gives every event once, in order, however storing, publishing, reading and handing over interleave', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 40 }),
        fc.nat({ max: 40 }),
        fc.array(
          fc.constantFrom('append', 'late', 'flush', 'take', 'take', 'take', 'gap', 'full'),
          {
            maxLength: 120,
          },
        ),
        fc.scheduler(),
        async (stored, after, steps, scheduler) => {
          const log = createLog();
          for (let n = 1; n <= stored; n += 1) log.store('x'.repeat(n));
          log.hold.before = () => scheduler.schedule(Promise.resolve());
          log.hold.after = () => scheduler.schedule(Promise.resolve());
          const from = Math.min(after, stored);
          const reader = read(log, from, {
            capBytes: 3_000,
            beforeHandover: () => scheduler.schedule(Promise.resolve()),
          });
          const late: StreamEvent<Line>[] = [];
          let stretch = 0;
          const publish = ({ payload, version }: StreamEvent<Line>) =>
            log.publish(new StreamEvent({ payload, version, stretch }));
          for (const step of steps) {
            if (step === 'append' && late.length === 0) publish(log.store('live'));
            if (step === 'late') late.push(log.store('late'));
            if (step === 'flush') for (const event of late.splice(0)) publish(event);
            if (step === 'take') {
              if (scheduler.count() > 0) await scheduler.waitOne();
              await tick();
            }
            if (step === 'gap' && late.length === 0) {
              log.store('of another server');
              stretch += 1;
            }
            if (step === 'full')
              for (let n = 0; n < 9; n += 1) late.push(log.store('y'.repeat(200)));
          }
          for (const event of late.splice(0)) publish(event);
          stretch += 1;
          publish(log.store('the last'));
          const expected = [`start ${from}`, ...range(from + 1, log.versions().at(-1)!)];
          while (reader.seen.length < expected.length) {
            if (scheduler.count() > 0) await scheduler.waitOne();
            await tick();
          }
          reader.gone.abort();
          await scheduler.waitFor(reader.ended);
          expect(reader.seen).toEqual(expected);
          expect(reader.reasons).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('a cursor that the log does not reach back to', () => {
  it('is told so, and gets what is left', async () => {
    const log = createLog();
    for (let n = 1; n <= 9; n += 1) log.store();
    log.deleteUpTo(5);
    const stream = open(log, 3);
    expect(await take(stream, 5)).toEqual(['reset 3 after 5', '6', '7', '8', '9']);
    await stream.return();
    const fitting = open(log, 5);
    expect(await take(fitting, 2)).toEqual(['start 5', '6']);
    await fitting.return();
  });

  it('is not told of what it never could have had', async () => {
    const log = createLog();
    for (let n = 1; n <= 9; n += 1) log.store();
    log.deleteUpTo(9);
    const first = open(log, null);
    expect(await take(first, 1)).toEqual(['start 9']);
    await first.return();
    const stream = open(log, 9);
    expect(await take(stream, 1)).toEqual(['start 9']);
    log.append();
    expect(await take(stream, 1)).toEqual(['10']);
    await stream.return();
  });

  it('is told when the log is cut behind a reader that is catching up', async () => {
    const log = createLog();
    for (let n = 1; n <= 200; n += 1) log.store();
    const stream = open(log, 0);
    expect(await take(stream, 11)).toEqual(['start 0', ...range(1, 10)]);
    log.deleteUpTo(150);
    const rest = await take(stream, 61);
    expect(rest).toEqual([...range(11, 20), 'reset 20 after 150', ...range(151, 200)]);
    log.deleteUpTo(180);
    log.append();
    expect(await take(stream, 1)).toEqual(['201']);
    await stream.return();
  });

  it('of another history goes on with what this one gets', async () => {
    const log = createLog();
    for (let n = 1; n <= 3; n += 1) log.store();
    const stream = open(log, 9_000);
    expect(await take(stream, 1)).toEqual(['reset 3 after 3']);
    log.append();
    expect(await take(stream, 1)).toEqual(['4']);
    await stream.return();
  });
});

describe('a slow reader of a durable stream', () => {
  it('is ended above the cap when it has no connection, and resumes', async () => {
    const log = createLog();
    const stream = open(log, null);
    await take(stream, 1);
    // What is taken one by one is never too much.
    for (let n = 1; n <= 100; n += 1) {
      log.append('x'.repeat(10_000));
      expect(await take(stream, 1)).toEqual([String(n)]);
    }
    for (let n = 1; n <= 20; n += 1) {
      log.append('x'.repeat(10_000));
      await tick();
    }
    await expect(stream.next()).rejects.toThrow(DomainError);
    expect(log.hub.subscriberCount()).toBe(0);
    const resumed = open(log, 100);
    expect(await take(resumed, 21)).toEqual(['start 100', ...range(101, 120)]);
    await resumed.return();
  });

  it('is given a burst above the cap from the source when it has kept up', async () => {
    const log = createLog();
    const { socket, reasons } = createSocket({ canGiveUp: true });
    const stream = open(log, null, { socket });
    await take(stream, 1);
    for (let n = 1; n <= 300; n += 1) log.append('x'.repeat(1_000));
    expect(await take(stream, 300)).toEqual(range(1, 300));
    // And once more, in the middle of handing out.
    for (let n = 301; n <= 305; n += 1) log.append();
    expect(await take(stream, 2)).toEqual(['301', '302']);
    for (let n = 306; n <= 600; n += 1) log.append('x'.repeat(1_000));
    await tick();
    expect(await take(stream, 298)).toEqual(range(303, 600));
    expect(reasons).toEqual([]);
    await stream.return();
  });

  it('lets live events go while it is caught up from the source, and misses none', async () => {
    const log = createLog();
    for (let n = 1; n <= 50; n += 1) log.store('x'.repeat(1_000));
    const { socket } = createSocket();
    const stream = open(log, 0, { socket });
    await take(stream, 5);
    socket.writableLength = 20_000;
    for (let n = 51; n <= 500; n += 1) log.append('x'.repeat(1_000));
    await tick();
    socket.writableLength = 0;
    expect(await take(stream, 496)).toEqual(range(5, 500));
    log.append();
    expect(await take(stream, 1)).toEqual(['501']);
    await stream.return();
  });

  it('misses nothing when too much comes just after the last page was looked up', async () => {
    const log = createLog();
    for (let n = 1; n <= 5; n += 1) log.store();
    const stream = open(log, 0);
    await take(stream, 1);
    log.hold.after = async () => {
      log.hold.after = async () => {};
      for (let n = 6; n <= 200; n += 1) log.append('x'.repeat(1_000));
      await tick();
    };
    expect(await take(stream, 200)).toEqual(range(1, 200));
    await stream.return();
  });

  it('has its connection given up at once, though it is stuck, and ends when that is closed', async () => {
    const log = createLog();
    const { socket, emitter, reasons } = createSocket({ canGiveUp: true });
    const stream = open(log, null, { socket });
    await take(stream, 1);
    log.append();
    await take(stream, 1);
    // The next event waits for a connection that takes nothing.
    socket.writableLength = CAP_BYTES + 1;
    const next = stream.next();
    log.append();
    await tick();
    log.append('x'.repeat(CAP_BYTES));
    await tick();
    expect(reasons).toEqual([expect.stringContaining('too slow')]);
    let ended = false;
    const result = next.then((item) => {
      ended = true;
      return item;
    });
    await tick();
    expect(ended).toBe(false);
    emitter.emit('close');
    expect(await result).toEqual({ done: true, value: undefined });
    expect(log.hub.subscriberCount()).toBe(0);
    expect(emitter.listenerCount('drain') + emitter.listenerCount('close')).toBe(0);
  });

  it('has its connection destroyed where it cannot be told why', async () => {
    const log = createLog();
    const { socket, emitter } = createSocket();
    const stream = open(log, null, { socket });
    await take(stream, 1);
    const next = stream.next();
    await tick();
    socket.writableLength = CAP_BYTES + 1;
    log.append();
    await tick();
    expect(socket.destroyed).toBe(true);
    expect(await next).toEqual({ done: true, value: undefined });
    expect(emitter.listenerCount('drain') + emitter.listenerCount('close')).toBe(0);
  });

  it('reads large events few at a time', async () => {
    const log = createLog();
    for (let n = 1; n <= 60; n += 1) log.store('x'.repeat(60_000));
    const stream = open(log, 0);
    await take(stream, 61);
    expect(log.reads[0]!.limit).toBe(20);
    expect(Math.max(...log.reads.slice(1).map(({ limit }) => limit))).toBe(2);
    await stream.return();
  });
});

describe('the end of a durable stream', () => {
  it('is quiet when its reader goes, wherever it stands', async () => {
    const log = createLog();
    log.append();
    for (const at of ['before', 'reading', 'stuck', 'idle'] as const) {
      const gone = new AbortController();
      const { socket, emitter } = createSocket();
      if (at === 'before') gone.abort();
      const stream = open(log, 0, { signal: gone.signal, socket });
      expect(await take(stream, 1)).toEqual(['start 0']);
      if (at === 'reading') log.hold.after = async () => gone.abort();
      if (at === 'stuck') socket.writableLength = CAP_BYTES + 1;
      if (at === 'idle') await take(stream, 1);
      const next = stream.next();
      await tick();
      gone.abort();
      expect(await next).toEqual({ done: true, value: undefined });
      log.hold.after = async () => {};
      expect(log.hub.subscriberCount()).toBe(0);
      expect(emitter.listenerCount('drain') + emitter.listenerCount('close')).toBe(0);
    }
  });

  it('comes with the connection, with no signal at all', async () => {
    const log = createLog();
    const { socket } = createSocket();
    const stream = open(log, null, { socket });
    await take(stream, 1);
    const next = stream.next();
    await tick();
    socket.destroy();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  it("is the signal's own error when it has one for the reader", async () => {
    const log = createLog();
    const gone = new AbortController();
    const stream = open(log, null, { signal: gone.signal });
    await take(stream, 1);
    const next = stream.next();
    gone.abort(new DomainError('unauthenticated', 'Invalid certification key'));
    await expect(next).rejects.toThrow('Invalid certification key');
    expect(log.hub.subscriberCount()).toBe(0);
  });

  it('is the error of a source that fails', async () => {
    const log = createLog();
    const stream = open(log, 0);
    await take(stream, 1);
    log.hold.before = () => Promise.reject(new Error('the database is away'));
    await expect(stream.next()).rejects.toThrow('the database is away');
    expect(log.hub.subscriberCount()).toBe(0);
  });
});
