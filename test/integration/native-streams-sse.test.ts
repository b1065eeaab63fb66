import { createTRPCClient, httpSubscriptionLink, TRPCClientError } from '@trpc/client';
import {
  retryableRpcCodes,
  TRPC_ERROR_CODES_BY_KEY,
} from '@trpc/server/unstable-core-do-not-import';
import { EventSource } from 'eventsource';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startCuttingProxy } from '../support/cutting-proxy.js';
import { createStoppedClock } from '../support/identity.js';
import { openSse } from '../support/sse.js';
import { type StreamDoor, type StreamRouter, startStreamDoor } from '../support/stream-door.js';
import { until } from '../support/until.js';

/** The library's own client, unmodified. */
function connect(url: string, connectionParams?: Record<string, string>) {
  return createTRPCClient<StreamRouter>({
    links: [
      httpSubscriptionLink({
        url: `${url}/trpc`,
        EventSource,
        ...(connectionParams && { connectionParams }),
      }),
    ],
  });
}

function follow(url: string, input: { lastEventId?: string; even?: boolean }) {
  const seen: number[] = [];
  const errors: unknown[] = [];
  const subscription = connect(url).lines.subscribe(input, {
    onData({ id, data }) {
      if (!('n' in data)) return;
      expect(id).toBe(String(data.n));
      seen.push(data.n);
    },
    onError: (error) => void errors.push(error),
  });
  onTestFinished(() => subscription.unsubscribe());
  return { seen, errors, subscription };
}

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const pathOf = (path: string, input: unknown) =>
  `/trpc/${path}?input=${encodeURIComponent(JSON.stringify(input))}`;

describe('unmodified clients of native event streams', () => {
  it('get every event once and in order, though their connections are cut', async () => {
    const door = await startStreamDoor();
    for (let n = 1; n <= 20; n += 1) door.lines.append();
    let budgets = 0;
    const proxy = await startCuttingProxy(door.url, () => {
      budgets += 1;
      return budgets <= 6 ? 1_500 + 700 * budgets : Number.POSITIVE_INFINITY;
    });
    const readers = [
      follow(proxy.url, { lastEventId: '0' }),
      follow(proxy.url, { lastEventId: '0', even: true }),
      follow(proxy.url, { lastEventId: '15' }),
    ];
    while (proxy.cuts() < 6) {
      door.lines.append('x'.repeat(100));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const last = door.lines.append();
    await until('everything', () =>
      readers.every(({ seen }) => (seen.at(-1) ?? 0) >= door.lines.events.length - 1),
    );
    const count = door.lines.events.length;
    expect(last).toBe(count);
    expect(readers.map(({ seen }) => seen)).toEqual([
      range(1, count),
      range(1, count).filter((n) => n % 2 === 0),
      range(16, count),
    ]);
    expect(readers.map(({ errors }) => errors)).toEqual([[], [], []]);
  });

  it('leave nothing behind when they unsubscribe', async () => {
    const door = await startStreamDoor();
    const { seen, subscription } = follow(door.url, {});
    await until('the subscription', () => door.hub.subscriberCount() === 1);
    await turn();
    door.lines.append();
    await until('the event', () => seen.length === 1);
    subscription.unsubscribe();
    await until('none', () => door.hub.subscriberCount() === 0);
  });

  it.each([false, true])('learn every error code, later: %s', async (later) => {
    const door = await startStreamDoor();
    const client = connect(door.url);
    for (const [code, number] of Object.entries(TRPC_ERROR_CODES_BY_KEY)) {
      const values: unknown[] = [];
      const error = await new Promise((resolve) => {
        const subscription = client.fails.subscribe(
          { code, later },
          {
            onData: (value) => void values.push(value),
            onError: resolve,
            onConnectionStateChange({ state, error: reason }) {
              // Some the client takes as a reason to try again by itself.
              const isRetried = retryableRpcCodes.includes(number as never);
              if (state !== 'connecting' || !reason || !isRetried) return;
              subscription.unsubscribe();
              resolve(reason);
            },
          },
        );
      });
      expect(error).toBeInstanceOf(TRPCClientError);
      expect(error).toMatchObject({
        message: `It is ${code}`,
        shape: { code: number, data: { code } },
      });
      expect(values).toEqual(later ? ['first'] : []);
    }
  });

  it('are known by their connectionParams, and told when a stream has ended', async () => {
    const door = await startStreamDoor();
    const values: unknown[] = [];
    await new Promise<void>((resolve) => {
      connect(door.url, { token: 'a token' }).token.subscribe(undefined, {
        onData: (value) => void values.push(value),
        onComplete: resolve,
      });
    });
    expect(values).toEqual(['a token']);
  });
});

describe('native event streams on the wire', () => {
  /** The same happenings at a server of its own; the blocks that came. */
  async function blocksOf(nativeFrames: boolean, path: string, act: (door: StreamDoor) => void) {
    const door = await startStreamDoor({ nativeFrames });
    for (let n = 1; n <= 3; n += 1) door.lines.append('replayed');
    const reader = await openSse(`${door.url}${path}`, { accept: 'text/event-stream' });
    await until('the subscription', () => door.hub.subscriberCount() === 1);
    await until('the beginning', () => reader.blocks.some(({ event }) => event === 'connected'));
    await turn();
    await turn();
    act(door);
    await until('the last', () => reader.text().includes('the last'));
    // The library writes more empty lines, and leaves to the client when it comes back.
    const blocks = reader.blocks
      .map(({ comment: _, retry: __, ...block }) => block)
      .filter((block) => Object.keys(block).length > 0);
    return { blocks, headers: reader.headers, status: reader.status };
  }

  it('say the same as those of the library', async () => {
    for (const [path, input] of [
      ['lines', { lastEventId: '1' }],
      ['lines', { even: true }],
      ['poses', undefined],
    ] as const) {
      const act = (door: StreamDoor) => {
        for (const text of ['ü \u2028 "quoted" \n\\ 🤖', '', 'the last']) {
          door.lines.append(text);
          door.pose('a', text);
        }
        door.lines.append('the last');
      };
      const [library, native] = [
        await blocksOf(false, pathOf(path, input), act),
        await blocksOf(true, pathOf(path, input), act),
      ];
      expect(native.blocks).toEqual(library.blocks);
      expect(native.status).toBe(library.status);
      for (const name of ['x-accel-buffering', 'transfer-encoding']) {
        expect(native.headers[name]).toBe(library.headers[name]);
      }
    }
  });

  it('keep proxies awake with pings', async () => {
    const clock = createStoppedClock();
    const door = await startStreamDoor({ clock });
    const reader = await openSse(`${door.url}${pathOf('lines', {})}`);
    await until('the start', () => reader.blocks.length === 3);
    clock.advance(5_000);
    await until('the ping', () => reader.blocks.length === 4);
    expect(reader.blocks[3]).toEqual({ event: 'ping', data: '' });
  });

  it('are left to the library where they are unusual', async () => {
    const door = await startStreamDoor();
    const ask = async (path: string, init?: RequestInit) => {
      const answer = await fetch(`${door.url}/trpc/${path}`, init);
      return [answer.status, (await answer.text()).replace(/"path":"[^"]*"/, '')];
    };
    expect(await ask('fails?batch=1&input={"0":{"code":"NOT_FOUND","later":false}}')).toEqual([
      400,
      expect.stringContaining('Cannot batch subscription calls'),
    ]);
    expect(await ask('fails?input={')).toEqual([200, expect.stringContaining('serialized-error')]);
    expect(await ask('token?connectionParams=7')).toEqual([400, expect.any(String)]);
    expect(await ask('constructor')).toEqual([404, expect.any(String)]);
    expect((await ask('lines', { method: 'POST', body: '{}' }))[0]).not.toBe(500);
    expect(await ask('echo?input="e"')).toEqual([200, '{"result":{"data":"e"}}']);
  });
});
