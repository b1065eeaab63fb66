import { beforeAll, describe, expect, it } from 'vitest';
import { findAiortc, startPeer } from '../support/aiortc.js';
import { browserProblem, useBrowser } from '../support/browser.js';
import { describeWithWorker } from '../support/media.js';
import { until } from '../support/until.js';
import { startVideo, videoPage } from '../support/video.js';

const INSTALL_LIMIT_MS = 500_000;
const why = browserProblem ? ` (skipped: ${browserProblem})` : '';

describeWithWorker('aiortc, an implementation of its own', () => {
  let found: Awaited<ReturnType<typeof findAiortc>>;
  beforeAll(async () => {
    found = await findAiortc();
  }, INSTALL_LIMIT_MS);

  it('sends VP8 and opus by WHIP, and watches by WHEP', async ({ skip }) => {
    if ('unavailable' in found) return skip(`aiortc: ${found.unavailable}`);
    const { app, robotKey, streams } = await startVideo();
    const robot = startPeer(found.path, 'whip', { url: app.url, token: robotKey });
    await until('its tracks', async () => (await streams()).count === 2);
    const viewer = startPeer(found.path, 'whep', { url: app.url, token: app.admin.token });
    await viewer.perceives(15);
    // Its own numbers, not those of the room.
    const { answer } = viewer.said.find((one) => one.answer);
    expect(answer).toMatch(/^a=rtpmap:97 VP8\/90000\r$/m);
    await viewer.end();
    expect(await streams()).toMatchObject({ count: 2, viewers: 0 });
    await robot.end();
    expect(await streams()).toMatchObject({ count: 0 });
  });

  describe.skipIf(browserProblem !== undefined)(`and Chromium${why}`, () => {
    const openPage = useBrowser();

    it('see each other', async ({ skip }) => {
      if ('unavailable' in found) return skip(`aiortc: ${found.unavailable}`);
      const { app, robotKey, streams } = await startVideo();
      const robot = startPeer(found.path, 'whip', { url: app.url, token: robotKey });
      await until('its tracks', async () => (await streams()).count === 2);
      const page = await videoPage(openPage, app.url);
      const watched = await page.whep(app.admin.token);
      await page.perceives(watched.location);
      await robot.end();

      await page.whip(robotKey);
      const viewer = startPeer(found.path, 'whep', { url: app.url, token: app.admin.token });
      await viewer.perceives(15);
    });
  });
});
