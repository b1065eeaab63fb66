import { describe, expect, it } from 'vitest';
import type { MediaEvent } from '../../src/contract/media.js';
import type { MediaRoom, NativeLink, RoomEvents } from '../../src/media/provider.js';
import { createMemoryHub } from '../../src/realtime/hub.js';
import type { Hear, PlaceEvent } from '../../src/services/media-places.js';
import {
  GONE_MS,
  type MediaSessionDeps,
  openMediaSession,
} from '../../src/services/media-session.js';
import { createStoppedClock } from '../support/identity.js';

const PARTICIPANTS = [{ user_id: 'ann', name: null }];
const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A room that says what it is told to. */
function createRoom() {
  const listeners = new Map<string, (value: never) => void>();
  const room = {
    tracks: () => [],
    on(event: string, listener: (value: never) => void) {
      listeners.set(event, listener);
      return () => void listeners.delete(event);
    },
  };
  return {
    seat: {
      room: room as unknown as MediaRoom,
      member: { id: 'ann', native: {} as NativeLink } as never,
    },
    listeners,
    say<E extends keyof RoomEvents>(event: E, value: RoomEvents[E]): void {
      listeners.get(event)?.(value as never);
    },
  };
}

async function start(more: Partial<MediaSessionDeps> = {}) {
  const clock = createStoppedClock();
  let room = createRoom();
  let left = 0;
  let ended = 0;
  let hear: Hear = () => {};
  const session = await openMediaSession({
    ...{ id: 's', hub: createMemoryHub(), clock, capBytes: 1_000_000 },
    authenticate: undefined,
    takePlace: async (told) => {
      hear = told;
      return {
        participants: () => PARTICIPANTS,
        media: async () => room.seat,
        leave() {
          left += 1;
        },
      };
    },
    onEnd() {
      ended += 1;
    },
    ...more,
  });

  function listen(cursor: string | null = null) {
    const heard: { cursor: number; event: MediaEvent }[] = [];
    const stop = new AbortController();
    const over = (async () => {
      for await (const item of session.events({ cursor, signal: stop.signal })) {
        heard.push({ cursor: item.cursor, event: item.event.payload });
      }
    })();
    over.catch(() => {});
    return {
      heard,
      over,
      types: () => heard.map(({ event }) => event.type),
      async stop() {
        stop.abort();
        await over;
      },
    };
  }
  return {
    ...{ clock, session, listen },
    room: () => room,
    tell: (event: PlaceEvent) => hear(event),
    loseMedia() {
      room = createRoom();
      hear({ type: 'media_lost' });
    },
    counts: () => ({ left, ended }),
  };
}

describe('a media session', () => {
  it('ends when nobody has listened for a while, and not before', async () => {
    const { clock, session, listen, counts } = await start();
    clock.advance(GONE_MS - 1);
    const first = listen();
    const second = listen();
    await tick();
    clock.advance(10 * GONE_MS);
    await first.stop();
    clock.advance(10 * GONE_MS);
    expect(counts()).toEqual({ left: 0, ended: 0 });
    await second.stop();
    clock.advance(GONE_MS - 1);
    const third = listen();
    await tick();
    await third.stop();
    clock.advance(GONE_MS);
    expect(counts()).toEqual({ left: 1, ended: 1 });
    await expect(listen().over).rejects.toMatchObject({ code: 'not_found' });
    await expect(session.enter()).rejects.toMatchObject({ reason: 'closed' });
    session.leave();
    expect(counts()).toEqual({ left: 1, ended: 1 });
  });

  it('begins with all there is, and goes on after a cursor with what was missed alone', async () => {
    const { tell, room, listen } = await start();
    const first = listen();
    await tick();
    expect(first.heard.map(({ event }) => event)).toEqual([
      { type: 'state', participants: PARTICIPANTS, tracks: [], speakers: [] },
    ]);
    await first.stop();
    const track = { trackId: 't', memberId: 'bob', kind: 'video', paused: false } as const;
    room().say('track', track);
    tell({ type: 'participants', participants: [] });
    const back = listen(String(first.heard.at(-1)!.cursor));
    await tick();
    room().say('trackEnd', track);
    await tick();
    expect(back.types()).toEqual(['track', 'participants', 'track_ended']);
    for (let n = 0; n < 300; n += 1) tell({ type: 'participants', participants: [] });
    const late = listen(String(first.heard.at(-1)!.cursor));
    while (late.heard.length === 0) await tick();
    expect(late.types()).toEqual(['state']);
    await expect(listen('x').over).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it('tells who speaks when that has changed', async () => {
    const { room, listen } = await start();
    const { heard } = listen();
    await tick();
    const loud = (...ids: string[]) =>
      room().say(
        'speakers',
        ids.map((memberId) => ({ memberId, trackId: 't', volume: -20 })),
      );
    loud('ann', 'bob');
    loud('ann', 'bob');
    loud('bob', 'ann', 'bob');
    loud();
    await tick();
    expect(heard.slice(1).map(({ event }) => event)).toEqual([
      { type: 'speakers', speakers: ['ann', 'bob'] },
      { type: 'speakers', speakers: ['bob', 'ann'] },
      { type: 'speakers', speakers: [] },
    ]);
  });

  it('forgets a room that was lost, and begins anew once', async () => {
    const { session, room, loseMedia, listen } = await start();
    const lost = room();
    const { types } = listen();
    await tick();
    loseMedia();
    expect(lost.listeners.size).toBe(0);
    expect(() => session.native()).toThrow('media.enter');
    const entered = await Promise.all([session.enter(), session.enter()]);
    expect(entered[0]).toBe(entered[1]);
    await session.enter();
    expect(session.native()).toBe(entered[0]!.native);
    await tick();
    expect(types()).toEqual(['state', 'media_lost', 'state']);
  });

  it('is over for its listeners when its place is', async () => {
    const { tell, listen, counts } = await start();
    const listener = listen();
    await tick();
    tell({ type: 'ended', reason: 'replaced' });
    await listener.over;
    expect(listener.heard.at(-1)!.event).toEqual({ type: 'ended', reason: 'replaced' });
    expect(counts()).toEqual({ left: 1, ended: 1 });
  });

  it('leaves nothing behind when audio and video cannot be had', async () => {
    let left = 0;
    let ended = 0;
    const opening = start({
      takePlace: async () => ({
        participants: () => PARTICIPANTS,
        media: () => Promise.reject(new Error('no worker')),
        leave() {
          left += 1;
        },
      }),
      onEnd() {
        ended += 1;
      },
    });
    await expect(opening).rejects.toThrow('no worker');
    expect({ left, ended }).toEqual({ left: 1, ended: 1 });
  });
});
