import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { browserProblem, useBrowser } from '../support/browser.js';
import { describeWithWorker } from '../support/media.js';
import { expectData, expectFailure } from '../support/rest.js';
import { until } from '../support/until.js';
import { makeKey, startVideo, videoPage } from '../support/video.js';

const RTP = '/api/v1/robots/r1/rtp';
const VP8 = { kind: 'video', codec: 'VP8' };
const plain = { plain_rtp: true, plain_rtp_first_port: 40_600, plain_rtp_last_port: 40_699 };
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
const why = !hasFfmpeg ? 'ffmpeg is not installed' : browserProblem;

/** Runs the command that the server gave, as a person would. */
function run(command: string): ChildProcess {
  const child = spawn('sh', ['-c', `exec ${command}`], { stdio: 'ignore' });
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return child;
}

describeWithWorker('robots that send plain RTP', () => {
  it('are told that it is off, by default', async () => {
    const { app, robotKey } = await startVideo();
    expectFailure(await app.call('POST', RTP, VP8, robotKey), 403, /media\.plain_rtp/);
  });

  it('get a door for each track, which they may shut', async () => {
    const { app, robotKey, streams } = await startVideo({ config: { media: plain } });
    const opened = await app.call('POST', RTP, { ...VP8, label: 'front' }, robotKey);
    const { track_id, rtp_port, rtcp_port, ssrc } = opened.json.data;
    expectData(opened, {
      ...{ track_id, kind: 'video', codec: 'VP8', label: 'front', address: '127.0.0.1' },
      ...{ rtp_port, rtcp_port, payload_type: 96, ssrc, from: '127.0.0.1' },
      ffmpeg: expect.stringContaining(`'rtp://127.0.0.1:${rtp_port}?rtcpport=${rtcp_port}'`),
    });
    for (const port of [rtp_port, rtcp_port]) expect(port >= 40_600 && port <= 40_699).toBe(true);
    const audio = await app.call('POST', RTP, { kind: 'audio', codec: 'opus' }, robotKey);
    expect(audio.json.data).toMatchObject({ kind: 'audio', label: null, payload_type: 111 });
    const members = () => app.app.media.room('robot:ADMIN-001:r1')!.members().length;
    expect(members()).toBe(1);

    // Nothing is to be seen before packets come.
    expect(await streams()).toMatchObject({ count: 0 });
    for (const id of [track_id, audio.json.data.track_id]) {
      expectData(await app.call('DELETE', `${RTP}/${id}`, undefined, robotKey), {
        message: 'Track ended',
      });
    }
    expect(members()).toBe(0);
    const again = await app.call('DELETE', `${RTP}/${track_id}`, undefined, robotKey);
    expectFailure(again, 404, 'There is no such track');
  });

  it('are refused what cannot be', async () => {
    const { app, robotKey } = await startVideo({ config: { media: plain } });
    await app.call('POST', '/api/v1/robots', { robot_id: 'r2', robot_type: 'cart' });
    const stranger = await app.addAccount();
    const post = (body: unknown, token: string | null = robotKey, path = RTP) =>
      app.call('POST', path, body, token);
    expectFailure(await post({ kind: 'audio', codec: 'VP8' }), 400, /^codec: /);
    expectFailure(await post({ kind: 'video', codec: 'AV1' }), 400, /^codec: /);
    expectFailure(await post({}), 400);
    expectFailure(await post(VP8, null), 401);
    expectFailure(await post(VP8, stranger.token), 403);
    const usual = await makeKey(app, {});
    expectFailure(await post(VP8, usual), 403, 'This key lacks the scope video:publish');
    expectFailure(await post(VP8, robotKey, '/api/v1/robots/r2/rtp'), 403, 'Access denied');
    expectFailure(await post(VP8, app.admin.token, '/api/v1/robots/no/rtp'), 404);
    for (let n = 0; n < 4; n += 1) expect((await post(VP8)).status).toBe(200);
    expectFailure(await post(VP8), 429, /4 tracks/);
  });

  describe.skipIf(why !== undefined)(`with ffmpeg${why ? ` (skipped: ${why})` : ''}`, () => {
    const openPage = useBrowser();

    it('are seen and heard by who watches by WHEP', async () => {
      const { app, robotKey, streams } = await startVideo({ config: { media: plain } });
      const opened = await Promise.all(
        [VP8, { kind: 'audio', codec: 'opus' }].map((spec) =>
          app.call('POST', RTP, { ...spec, label: 'front' }, robotKey),
        ),
      );
      const children = opened.map(({ json }) => run(json.data.ffmpeg));
      await until('both tracks', async () => (await streams()).count === 2);
      const viewer = await videoPage(openPage, app.url);
      const watched = await viewer.whep(app.admin.token);
      await viewer.perceives(watched.location);

      for (const { json } of opened) {
        await app.call('DELETE', `${RTP}/${json.data.track_id}`, undefined, robotKey);
      }
      expect(await streams()).toMatchObject({ count: 0, viewers: 0 });
      for (const child of children) expect(child.exitCode).toBeNull();
    });
  });
});
