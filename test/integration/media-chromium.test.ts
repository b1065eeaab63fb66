import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import type { MediaRoom } from '../../src/media/provider.js';
import { browserProblem, useBrowser } from '../support/browser.js';
import { describeWithWorker, memberSpec, startMedia, watchEngine } from '../support/media.js';
import { until } from '../support/until.js';

interface Received {
  kind: string;
  streamId: string;
  framesDecoded: number;
  frameWidth: number;
  packetsReceived: number;
}

/** What `test/fixtures/media-client.js` gives a page. */
type ClientWindow = typeof globalThis & {
  client: {
    connect(options: { simulcast?: boolean }): Promise<void>;
    onServerOffer(sdp: string): Promise<void>;
    received(): Promise<Received[]>;
    close(): void;
  };
};

const why = browserProblem ? ` (skipped: ${browserProblem})` : '';

describeWithWorker('pages in Chromium', () => {
  describe.skipIf(browserProblem !== undefined)(`with a plain RTCPeerConnection${why}`, () => {
    const openPage = useBrowser();

    async function join(room: MediaRoom, id: string) {
      const page = await openPage();
      const member = await room.join(memberSpec(id));
      const link = member.sdp!;
      const problems: unknown[] = [];
      page.on('pageerror', (error) => problems.push(error));
      await page.exposeFunction('sendOffer', (sdp: string) => link.offer(sdp));
      await page.exposeFunction('sendAnswer', (sdp: string) => link.answer(sdp));
      await page.addScriptTag({ path: 'test/fixtures/media-client.js' });
      link.onOffer = (sdp) => {
        page
          .evaluate((text) => (globalThis as ClientWindow).client.onServerOffer(text), sdp)
          .catch((error: unknown) => problems.push(error));
      };
      return { page, member, problems };
    }
    const connect = (page: Page, options: { simulcast?: boolean } = {}) =>
      page.evaluate((given) => (globalThis as ClientWindow).client.connect(given), options);
    const received = (page: Page) =>
      page.evaluate(() => (globalThis as ClientWindow).client.received());

    /** Sees pictures and hears sound of each of these now, not of anybody else. */
    async function perceives(page: Page, ...ids: string[]) {
      const before = await received(page);
      await until(`audio and video of ${ids}`, async () => {
        const now = await received(page);
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
      });
    }

    it('see and hear each other, come and go, and begin anew', async () => {
      const room = await startMedia({ listenIp: '0.0.0.0' }).openRoom('a', { maxMembers: 5 });
      const speakers: string[] = [];
      room.on('speakers', (now) => speakers.push(...now.map(({ memberId }) => memberId)));
      const a = await join(room, 'a');
      const b = await join(room, 'b');
      await connect(a.page);
      await connect(b.page);
      await perceives(a.page, 'b');
      await perceives(b.page, 'a');
      await until('both to be heard', () => new Set(speakers).size === 2);

      const c = await join(room, 'c');
      await connect(c.page);
      await perceives(a.page, 'b', 'c');
      await perceives(c.page, 'a', 'b');
      await b.member.leave();
      await perceives(c.page, 'a');
      const d = await join(room, 'd');
      await connect(d.page);
      await perceives(a.page, 'c', 'd');
      await perceives(d.page, 'a', 'c');

      // Another connection of the same member, as after an error in the page.
      await c.page.evaluate(() => (globalThis as ClientWindow).client.close());
      await until('the end of its tracks', () => room.tracks().length === 4);
      await connect(c.page);
      await perceives(c.page, 'a', 'd');
      await perceives(a.page, 'c', 'd');
      expect([a, b, c, d].flatMap(({ problems }) => problems)).toEqual([]);
    });

    it('send in layers, of which each viewer gets what it wants', async () => {
      const engine = await watchEngine();
      const room = await startMedia({ listenIp: '0.0.0.0' }).openRoom('a', {
        maxMembers: 5,
        startKbps: 1_500,
      });
      const sender = await join(room, 'sender');
      const viewer = await join(room, 'viewer');
      await connect(sender.page, { simulcast: true });
      await connect(viewer.page);
      expect(engine.producers.map(({ type }) => type)).toContain('simulcast');
      const width = async () =>
        (await received(viewer.page)).find(({ kind }) => kind === 'video')?.frameWidth ?? 0;
      await until('a middle layer at least', async () => (await width()) >= 320);
      await viewer.member.setQuality({ maxLayer: 0 });
      await until('the low layer', async () => (await width()) === 160);
      await viewer.member.setQuality({ maxLayer: 2 });
      await until('a higher one again', async () => (await width()) >= 320);
      expect([...sender.problems, ...viewer.problems]).toEqual([]);
    });
  });
});
