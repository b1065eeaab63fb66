import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PICTURE_WAIT_MS } from '../../src/services/video-sessions.js';
import { browserProblem, useBrowser } from '../support/browser.js';
import { createStoppedClock } from '../support/identity.js';
import { describeWithWorker } from '../support/media.js';
import { openRobot } from '../support/robot-socket.js';
import { until } from '../support/until.js';
import { startVideo, videoPage } from '../support/video.js';

const why = browserProblem ? ` (skipped: ${browserProblem})` : '';

describeWithWorker('WHIP and WHEP', () => {
  describe.skipIf(browserProblem !== undefined)(`between pages of other origins${why}`, () => {
    const openPage = useBrowser();

    it('carry picture and sound until the robot ends it', async () => {
      const { app, robotKey, streams } = await startVideo();
      const robot = await videoPage(openPage, app.url);
      const viewer = await videoPage(openPage, app.url);
      const sent = await robot.whip(robotKey, 'front');
      expect(sent).toMatchObject({ status: 201, type: 'application/sdp' });
      expect(sent.location).toMatch(/\/whip\/r1\/[\w-]{32}$/);
      expect(sent.etag).toMatch(/^"[\w+/=-]+"$/);

      const watched = await viewer.whep(app.admin.token);
      expect(watched.status).toBe(201);
      await viewer.perceives(watched.location);
      const whep = `${app.url}/whep/r1`;
      expect(await streams()).toEqual({
        robot_id: 'r1',
        streams: ['audio', 'video'].map((kind) => ({
          ...{ type: 'webrtc', track_id: expect.any(String), kind },
          ...{ label: 'front', paused: false, whep },
        })),
        ...{ count: 2, viewers: 1, watching: true },
      });

      expect(await robot.end(sent.location)).toBe(200);
      expect(await robot.end(sent.location)).toBe(404);
      expect(await streams()).toMatchObject({ streams: [], count: 0, viewers: 0 });
      await until('the end of what the viewer sees', async () =>
        ['closed', 'failed', 'disconnected'].includes(await viewer.state(watched.location)),
      );
    });

    it('begin ICE anew by a fragment', async () => {
      const { app, robotKey } = await startVideo();
      const robot = await videoPage(openPage, app.url);
      const viewer = await videoPage(openPage, app.url);
      const sent = await robot.whip(robotKey);
      const watched = await viewer.whep(app.admin.token);
      await viewer.perceives(watched.location);
      for (const [page, begun] of [
        [robot, sent],
        [viewer, watched],
      ] as const) {
        const restarted = await page.restart(begun.location);
        expect(restarted.status).toBe(200);
        expect(restarted.etag).not.toBe(begun.etag);
      }
      await viewer.perceives(watched.location);
    });

    it('show several cameras, each under its label, of which the newest counts', async () => {
      const { app, robotKey, streams } = await startVideo();
      const robot = await videoPage(openPage, app.url);
      const first = await robot.whip(robotKey, 'front');
      const second = await robot.whip(robotKey, 'rear');
      const labels = async () =>
        (await streams()).streams.map(({ label }: { label: string }) => label).sort();
      expect(await labels()).toEqual(['front', 'front', 'rear', 'rear']);
      await robot.whip(robotKey, 'front');
      expect(await labels()).toEqual(['front', 'front', 'rear', 'rear']);
      expect(await robot.end(first.location)).toBe(404);

      const viewer = await videoPage(openPage, app.url);
      const watched = await viewer.whep(app.admin.token, '?label=rear');
      await viewer.perceives(watched.location);
      await robot.end(second.location);
      await until('the end of the rear camera', async () =>
        ['closed', 'failed', 'disconnected'].includes(await viewer.state(watched.location)),
      );
      expect(await labels()).toEqual(['front', 'front']);
    });

    it('start a robot that waits for somebody to watch', async () => {
      const { app, robotKey } = await startVideo();
      const page = await videoPage(openPage, app.url);
      const viewer = await videoPage(openPage, app.url);
      const began: Promise<unknown>[] = [];
      const { frames } = await openRobot(app.url, 'r1', robotKey, {
        search: '?notices=viewers',
        onFrame: ({ watching }) => {
          if (watching) began.push(page.whip(robotKey));
        },
      });
      const watched = await viewer.whep(app.admin.token);
      expect(watched.status).toBe(201);
      await viewer.perceives(watched.location);
      expect(frames).toEqual(
        [false, true].map((watching) => ({
          ...{ type: 'viewers', watching, viewers: watching ? 1 : 0 },
          timestamp: expect.any(String),
        })),
      );
      await Promise.all(began);
    });

    it('are what the documentation says: its viewer shows the robot', async () => {
      const { app, robotKey } = await startVideo();
      const robot = await videoPage(openPage, app.url);
      await robot.whip(robotKey);
      const text = readFileSync('docs/robot-video.md', 'utf8');
      const viewer = /```html\n(.*?)```/s.exec(text)![1]!;
      const page = await openPage();
      await page.setContent(
        viewer.replace('/whep/robot_001', `${app.url}/whep/r1`).replace('fwk_…', app.admin.token),
      );
      await until('a picture', () =>
        // biome-ignore lint/suspicious/noExplicitAny: a page has what Node has not
        page.evaluate(() => (globalThis as any).v.videoWidth > 0),
      );
    });

    it('tell a viewer to come again while the robot sends nothing', async () => {
      const clock = createStoppedClock();
      const { app, streams } = await startVideo({ clock });
      const viewer = await videoPage(openPage, app.url);
      const asking = viewer.whep(app.admin.token);
      await until('the viewer', async () => (await streams()).viewers === 1);
      clock.advance(PICTURE_WAIT_MS);
      const refused = await asking;
      expect(refused).toMatchObject({ status: 409, retryAfter: '2' });
      expect(JSON.parse(refused.body!).error).toMatch(/^The robot sends nothing yet/);
      // It is told all the same, for a while.
      expect(await streams()).toMatchObject({ viewers: 0, watching: true });
    });
  });
});
