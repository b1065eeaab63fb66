import { resolve } from 'node:path';
import type { WebRtcTransport } from 'mediasoup/types';
import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startApp, type TestApp } from '../support/app.js';
import { browserProblem, useBrowser } from '../support/browser.js';
import { bundleForPages } from '../support/bundle.js';
import { testDatabases } from '../support/databases.js';
import { describeWithWorker, watchEngine } from '../support/media.js';
import { connect } from '../support/trpc-client.js';
import { startUdpProxy } from '../support/udp-proxy.js';
import { until } from '../support/until.js';
import { startVideo } from '../support/video.js';

interface Received {
  kind: string;
  streamId: string;
  framesDecoded: number;
  frameWidth: number;
  packetsReceived: number;
}
interface Enter {
  url: string;
  token?: string;
  roomId?: string;
  robotId?: string;
  publish?: boolean;
  userId?: string;
  name?: string;
}
interface Track {
  track_id: string;
  kind: string;
  paused: boolean;
}

/** What the scripts of `test/fixtures` give a page. */
type PageWindow = typeof globalThis & {
  page: {
    enter(options: Enter): Promise<string>;
    publish(options?: { simulcast?: boolean }): Promise<void>;
    received(): Promise<Received[]>;
    events: [string, unknown][];
    peers: { connectionState: string; close(): void }[];
    room(): {
      userId: string;
      participants: { user_id: string; name: string | null }[];
      tracks: Track[];
      mute(kind?: string): Promise<void>;
      unmute(kind?: string): Promise<void>;
      setQuality(trackId: string, quality: string): Promise<void>;
      leave(): Promise<void>;
    };
  };
  kaamos: { joinRoom(url: string, roomId: string, userId: string): Promise<string>; leave(): void };
  client: { connect(options: object): Promise<void>; received(): Promise<Received[]> };
};

/** Has the connections of a page go to another UDP port than the server says. */
function sendTo(port: number): void {
  type Description = { type: string; sdp: string };
  const { prototype } = (globalThis as unknown as { RTCPeerConnection: { prototype: never } })
    .RTCPeerConnection;
  const connection = prototype as { setRemoteDescription(given: Description): Promise<void> };
  const original = connection.setRemoteDescription;
  connection.setRemoteDescription = function ({ type, sdp }) {
    const changed = sdp
      .replace(/a=candidate:tcp.*\r\n/g, '')
      .replace(/(a=candidate:udp\S* 1 udp \d+ \S+) \d+/g, `$1 ${port}`);
    return original.call(this, { type, sdp: changed });
  };
}

const fixture = (name: string) => resolve(import.meta.dirname, '../fixtures', name);
const why = browserProblem ? ` (skipped: ${browserProblem})` : '';

describeWithWorker('joinRoom', () => {
  describe.skipIf(browserProblem !== undefined)(`in Chromium${why}`, () => {
    const openPage = useBrowser();
    let bundle: string;
    beforeAll(async () => {
      bundle = await bundleForPages(
        resolve(import.meta.dirname, '../../src/client/index.ts'),
        'fleetwire',
      );
    });

    function start(): Promise<TestApp> {
      return startApp(testDatabases[0]!, {
        config: { media: { workers: 1, rtc_port: 0, listen_ip: '127.0.0.1' } },
      });
    }

    async function newPage(): Promise<Page> {
      const page = await openPage();
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(error.message));
      onTestFinished(() => expect(errors).toEqual([]));
      return page;
    }

    /** A page that is in a room through mediasoup-client. */
    async function enter(options: Enter, rtcPort?: number): Promise<Page> {
      const page = await newPage();
      if (rtcPort !== undefined) await page.evaluate(sendTo, rtcPort);
      await page.addScriptTag({ content: bundle });
      await page.addScriptTag({ path: fixture('fleet-room.js') });
      await page.evaluate((given) => (globalThis as PageWindow).page.enter(given), options);
      return page;
    }
    const publish = (page: Page, options: { simulcast?: boolean } = {}) =>
      page.evaluate((given) => (globalThis as PageWindow).page.publish(given), options);
    const events = (page: Page) => page.evaluate(() => (globalThis as PageWindow).page.events);

    /** A page that is in the same room with a plain RTCPeerConnection and the documented frames. */
    async function enterPlainly(url: string, roomId: string, userId: string): Promise<Page> {
      const page = await newPage();
      await page.addScriptTag({ path: fixture('media-client.js') });
      await page.addScriptTag({ path: fixture('kaamos-signalling.js') });
      const call = [url, roomId, userId] as const;
      await page.evaluate((given) => (globalThis as PageWindow).kaamos.joinRoom(...given), call);
      await page.evaluate(() => (globalThis as PageWindow).client.connect({}));
      return page;
    }

    const received = (page: Page): Promise<Received[]> =>
      page.evaluate(() => {
        const { page: fleet, client } = globalThis as PageWindow;
        return (fleet ?? client).received();
      });

    /** Sees pictures and hears sound of each of these now, and of nobody else. */
    async function perceives(page: Page, ...ids: string[]): Promise<void> {
      const before = await received(page);
      let now: Received[] = [];
      const flows = async () => {
        now = await received(page);
        const moving = now.filter((stream) => {
          const { kind, streamId } = stream;
          const old = before.find((one) => one.kind === kind && one.streamId === streamId);
          return kind === 'video'
            ? stream.framesDecoded > (old?.framesDecoded ?? 0) + 5
            : stream.packetsReceived > (old?.packetsReceived ?? 0) + 10;
        });
        const names = moving.map(({ kind, streamId }) => `${kind} ${streamId}`).sort();
        const wanted = ids.flatMap((id) => [`audio ${id}`, `video ${id}`]).sort();
        return names.join() === wanted.join();
      };
      await until(`audio and video of ${ids}`, flows).catch((error: Error) => {
        throw new Error(`${error.message}; there is ${JSON.stringify(now)}`);
      });
    }

    async function newRoom(app: TestApp): Promise<string> {
      return (await connect(app).rooms.create.mutate()).room_id;
    }

    it('is in one room with plain pages: all see and hear each other, go and come back', async () => {
      const app = await start();
      const { url } = app;
      const roomId = await newRoom(app);
      const plain = await enterPlainly(url, roomId, 'plain');
      const ann = await enter({ url, roomId, userId: 'ann', name: 'Ann' });
      await publish(ann);
      await Promise.all([perceives(ann, 'plain'), perceives(plain, 'ann')]);
      const bob = await enter({ url, roomId, userId: 'bob' });
      await publish(bob, { simulcast: true });
      await Promise.all([
        perceives(ann, 'bob', 'plain'),
        perceives(bob, 'ann', 'plain'),
        perceives(plain, 'ann', 'bob'),
      ]);
      expect(await bob.evaluate(() => (globalThis as PageWindow).page.room().participants)).toEqual(
        [
          { user_id: 'plain', name: null },
          { user_id: 'ann', name: 'Ann' },
          { user_id: 'bob', name: null },
        ],
      );

      await ann.evaluate(() => (globalThis as PageWindow).page.room().leave());
      await Promise.all([perceives(bob, 'plain'), perceives(plain, 'bob')]);
      const again = await enter({ url, roomId, userId: 'ann' });
      await publish(again);
      await Promise.all([
        perceives(again, 'bob', 'plain'),
        perceives(bob, 'ann', 'plain'),
        perceives(plain, 'ann', 'bob'),
      ]);
      await plain.evaluate(() => (globalThis as PageWindow).kaamos.leave());
      await Promise.all([perceives(again, 'bob'), perceives(bob, 'ann')]);
      for (const page of [again, bob]) {
        await page.evaluate(() => (globalThis as PageWindow).page.room().leave());
      }
      expect(app.app.services.mediaSessions.count()).toBe(0);
      await until(
        'an empty room',
        () => app.app.media.room(`room:${roomId}`)?.members().length === 0,
      );
      expect(await events(ann)).toEqual([['ended', { reason: 'left' }]]);
      expect(await events(bob)).toEqual([['ended', { reason: 'left' }]]);
    }, 90_000);

    it('mutes, and takes the layer it wants', async () => {
      const app = await start();
      const { url } = app;
      const roomId = await newRoom(app);
      const ann = await enter({ url, roomId, userId: 'ann' });
      await publish(ann, { simulcast: true });
      const bob = await enter({ url, roomId, userId: 'bob' });
      await perceives(bob, 'ann');

      const quality = (level: string) =>
        bob.evaluate(async (wanted) => {
          const room = (globalThis as PageWindow).page.room();
          const video = room.tracks.find(({ kind }) => kind === 'video')!;
          await room.setQuality(video.track_id, wanted);
        }, level);
      const video = async () => (await received(bob)).find(({ kind }) => kind === 'video')!;
      await until('more than the low layer', async () => (await video()).frameWidth >= 320);
      await quality('low');
      await until('the low layer', async () => (await video()).frameWidth === 160);
      await quality('high');
      await until('a higher one again', async () => (await video()).frameWidth >= 320);

      await ann.evaluate(() => (globalThis as PageWindow).page.room().mute('audio'));
      const paused = () =>
        bob.evaluate(() =>
          (globalThis as PageWindow).page
            .room()
            .tracks.map(({ kind, paused }) => [kind, paused] as const)
            .sort(),
        );
      await until('word of the mute', async () => (await paused())[0]![1]);
      expect(await paused()).toEqual([
        ['audio', true],
        ['video', false],
      ]);
      await ann.evaluate(() => (globalThis as PageWindow).page.room().unmute());
      await until('word of its end', async () => !(await paused())[0]![1]);
      await perceives(bob, 'ann');
      expect((await events(bob)).map(([event]) => event)).toEqual(['trackPaused', 'trackPaused']);
    }, 60_000);

    it('sends as a robot what others watch', async () => {
      const { app, robotKey, streams } = await startVideo();
      const { url } = app;
      const robot = await enter({ url, token: robotKey, robotId: 'r1', publish: true });
      await publish(robot);
      const { token } = app.admin;
      const viewer = await enter({ url, token, robotId: 'r1', name: 'Ann' });
      await perceives(
        viewer,
        await robot.evaluate(() => (globalThis as PageWindow).page.room().userId),
      );
      expect(await streams()).toMatchObject({ count: 2, viewers: 1 });
      expect(await received(robot)).toEqual([]);
    }, 60_000);

    it('comes back by itself when the media worker was killed', async () => {
      const engine = await watchEngine();
      const app = await start();
      const { url } = app;
      const roomId = await newRoom(app);
      const plain = await enterPlainly(url, roomId, 'plain');
      const ann = await enter({ url, roomId, userId: 'ann' });
      await publish(ann);
      await Promise.all([perceives(ann, 'plain'), perceives(plain, 'ann')]);
      await ann.evaluate(() => (globalThis as PageWindow).page.room().mute('audio'));
      process.kill(engine.workers[0]!.pid!, 'SIGKILL');
      await until('word of it', async () => (await events(ann)).length > 1);
      await perceives(ann, 'plain');
      expect((await events(ann)).map(([event]) => event)).toEqual(['lost', 'rejoined']);
      const own = await until('its own tracks', () => {
        const tracks = app.app.media.room(`room:${roomId}`)!.tracks();
        const sent = tracks.filter(({ memberId }) => memberId === 'ann');
        return sent.length === 2 && sent;
      });
      expect(own.map(({ kind, paused }) => [kind, paused]).sort()).toEqual([
        ['audio', true],
        ['video', false],
      ]);
      await ann.evaluate(() => (globalThis as PageWindow).page.room().unmute());
      await perceives(plain, 'ann');
      expect(app.app.services.meetings.participants(roomId)).toHaveLength(2);
    }, 60_000);

    it('joins again when its session is over, or its connection was closed', async () => {
      const engine = await watchEngine();
      const app = await start();
      const { url } = app;
      const roomId = await newRoom(app);
      const ann = await enter({ url, roomId, userId: 'ann' });
      await publish(ann);
      const bob = await enter({ url, roomId, userId: 'bob' });
      await publish(bob);
      await Promise.all([perceives(ann, 'bob'), perceives(bob, 'ann')]);
      const rejoined = async (page: Page) =>
        (await events(page)).filter(([event]) => event === 'rejoined').length;
      app.app.services.meetings.end(roomId, 'stopping');
      await until('both', async () => (await rejoined(ann)) === 1 && (await rejoined(bob)) === 1);
      await Promise.all([perceives(ann, 'bob'), perceives(bob, 'ann')]);

      const open = engine.transports.filter(({ closed }) => !closed);
      expect(open).toHaveLength(4);
      open[0]!.close();
      await until('one', async () => (await rejoined(ann)) + (await rejoined(bob)) === 3);
      await Promise.all([perceives(ann, 'bob'), perceives(bob, 'ann')]);
      expect(
        app.app.services.meetings
          .participants(roomId)
          .map(({ user_id }) => user_id)
          .sort(),
      ).toEqual(['ann', 'bob']);
    }, 60_000);

    it('restarts ICE when the network was away', async () => {
      const engine = await watchEngine();
      const app = await start();
      const { url } = app;
      const roomId = await newRoom(app);
      const ann = await enter({ url, roomId, userId: 'ann' });
      await publish(ann);
      const transports = engine.transports as WebRtcTransport[];
      const network = await startUdpProxy(transports[0]!.iceCandidates[0]!.port);
      const bob = await enter({ url, roomId, userId: 'bob' }, network.port);
      await perceives(bob, 'ann');
      const names = () => transports.map(({ iceParameters }) => iceParameters.usernameFragment);
      const before = names();
      network.cut(true);
      await until('new ICE parameters', () => names().join() !== before.join());
      network.cut(false);
      await perceives(bob, 'ann');
      expect(names()).toHaveLength(before.length);
      expect(await events(bob)).toEqual([]);
    }, 60_000);
  });
});
