import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { FRAME_TTL_MS } from '../../src/services/robot-camera.js';
import { LINGER_MS } from '../../src/services/robot-viewers.js';
import type { TestApp } from '../support/app.js';
import { browserProblem, useBrowser } from '../support/browser.js';
import { createStoppedClock } from '../support/identity.js';
import { jpeg } from '../support/jpeg.js';
import { expectData, expectFailure, INSTANT } from '../support/rest.js';
import { openRobot } from '../support/robot-socket.js';
import { openSse } from '../support/sse.js';
import { connect } from '../support/trpc-client.js';
import { until } from '../support/until.js';
import { makeKey, send, startVideo, streamsOf } from '../support/video.js';

const ROBOT = '/api/v1/robots/r1';
const TYPE = 'image/jpeg';

function push(app: TestApp, token: string, body: Uint8Array<ArrayBuffer>, type = TYPE) {
  return send(`${app.url}${ROBOT}/frames`, 'POST', { token, type, body });
}

/** Reads `…/mjpeg` by hand until the test ends. */
async function openMjpeg({ url, admin }: TestApp, search = '', token: string | null = admin.token) {
  const outgoing = request(`${url}${ROBOT}/mjpeg${search}`, {
    headers: token ? { authorization: `Bearer ${token}` } : {},
    agent: false,
  });
  onTestFinished(() => void outgoing.destroy());
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {});
  const ended = new Promise<void>((resolve) => response.once('close', resolve));
  return {
    response,
    ended,
    bytes: () => Buffer.concat(chunks),
    close: () => outgoing.destroy(),
  };
}

/** A camera at its WebSocket. */
async function openCamera({ url }: TestApp, token: string) {
  const ws = new WebSocket(`${url.replace('http', 'ws')}${ROBOT}/frames?token=${token}`);
  onTestFinished(() => ws.terminate());
  // biome-ignore lint/suspicious/noExplicitAny: tests compare what comes, whatever it is
  const heard: any[] = [];
  ws.on('message', (data) => heard.push(JSON.parse(data.toString())));
  const closed = once(ws, 'close').then(([code]) => code as number);
  await once(ws, 'open');
  return { ws, heard, closed };
}

describe('robots whose camera gives JPEGs', () => {
  it('send one, which is the newest still', async () => {
    const { app, robotKey } = await startVideo();
    const frame = jpeg('one');
    const size_bytes = frame.length;
    const pushed = await push(app, robotKey, frame);
    expectData(pushed as never, {
      ...{ message: 'Frame received', width: 16, height: 8, size_bytes, watching: false },
    });

    const still = await fetch(`${app.url}${ROBOT}/snapshot?token=${app.admin.token}`);
    expect(still.status).toBe(200);
    expect(new Uint8Array(await still.arrayBuffer())).toEqual(frame);
    expect(Object.fromEntries(still.headers)).toMatchObject({
      'content-type': TYPE,
      'cache-control': 'private, no-cache',
      'last-modified': expect.stringMatching(/GMT$/),
      'content-length': String(size_bytes),
    });
    const etag = still.headers.get('etag')!;
    const again = (headers: Record<string, string>) =>
      send(`${app.url}${ROBOT}/snapshot`, 'GET', { token: app.admin.token, headers });
    expect((await again({ 'if-none-match': etag })).status).toBe(304);
    await push(app, robotKey, jpeg('two'));
    expect((await again({ 'if-none-match': etag })).status).toBe(200);

    const camera = `${app.url}${ROBOT}`;
    expectData(await streamsOf(app), {
      robot_id: 'r1',
      streams: [
        {
          ...{ type: 'jpeg', width: 16, height: 8, size_bytes, received_at: INSTANT },
          ...{ mjpeg: `${camera}/mjpeg`, snapshot: `${camera}/snapshot` },
        },
      ],
      ...{ count: 1, viewers: 0, watching: false },
    });
    const metrics = await app.call('GET', '/metrics', undefined, null);
    expect(metrics.text).toMatch(/^fleetwire_robot_cameras 1$/m);
  });

  it('send through tRPC too', async () => {
    const { app, robotKey } = await startVideo();
    const body = { robot_id: 'r1', jpeg: Buffer.from(jpeg()).toString('base64') };
    const { json } = await app.call('POST', '/trpc/video.pushFrame', body, robotKey);
    expect(json.result.data).toMatchObject({ width: 16, height: 8 });
  });

  it('are forgotten after some minutes of silence', async () => {
    const clock = createStoppedClock();
    const { app, robotKey } = await startVideo({ clock });
    await push(app, robotKey, jpeg());
    clock.advance(FRAME_TTL_MS - 1);
    expect((await app.call('GET', `${ROBOT}/snapshot`)).status).toBe(200);
    clock.advance(1);
    expectFailure(
      await app.call('GET', `${ROBOT}/snapshot`),
      404,
      'This robot has sent no JPEG frame within the last 5 minutes',
    );
    clock.advance(30_000);
    const metrics = await app.call('GET', '/metrics', undefined, null);
    expect(metrics.text).toMatch(/^fleetwire_robot_cameras 0$/m);
  });

  it('are watched as MJPEG, frame by frame', async () => {
    const { app, robotKey } = await startVideo();
    const reader = await openMjpeg(app);
    const type = reader.response.headers['content-type']!;
    const [, boundary] = /^multipart\/x-mixed-replace; boundary=(frame-[\da-f]{24})$/.exec(type)!;
    const part = `--${boundary}\r\ncontent-type: image/jpeg\r\n\r\n`;
    const text = () => reader.bytes().toString('latin1');
    const frames = ['first', 'second'].map((name) => jpeg(name));
    const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
    let all = part;
    for (const frame of frames) {
      await push(app, robotKey, frame);
      // The head of the next part tells browsers that this one is whole.
      all += `${latin1(frame)}\r\n${part}`;
      await until('the frame', () => text() === all);
    }
  });

  it('are watched by slow readers too, who miss what comes meanwhile', async () => {
    const { app, robotKey } = await startVideo({ config: { media: { jpeg_limit: 1_048_576 } } });
    const reader = await openMjpeg(app);
    reader.response.pause();
    const frames = 120;
    const padding = 'x'.repeat(60_000);
    for (let n = 0; n < frames; n += 1) await push(app, robotKey, jpeg(`${padding}${n}.`));
    reader.response.resume();
    const last = Buffer.from(jpeg(`${padding}${frames - 1}.`));
    await until('the newest', () => reader.bytes().includes(last));
    const got = reader
      .bytes()
      .toString('latin1')
      .match(/content-type/g)!.length;
    expect(got).toBeLessThan(frames);
  });

  it('have no more readers than configured, and each reader leaves its place', async () => {
    const { app } = await startVideo({ config: { media: { mjpeg_readers: 1 } } });
    const reader = await openMjpeg(app);
    const refused = await app.call('GET', `${ROBOT}/mjpeg`);
    expectFailure(refused, 429, /media\.mjpeg_readers/);
    expect(refused.headers.get('retry-after')).toBe('5');
    reader.close();
    await until('the place', async () => (await streamsOf(app)).json.data.viewers === 0);
    await openMjpeg(app);
  });

  it('are watched no longer than the credential lives, and with a ticket as well', async () => {
    const { app } = await startVideo();
    const { json } = await app.call('POST', '/api/v1/keys', {
      ...{ name: 'viewer', scopes: ['video:watch'] },
    });
    const reader = await openMjpeg(app, `?token=${json.data.key}`, null);
    await app.call('DELETE', `/api/v1/keys/${json.data.id}`);
    await reader.ended;
    const ticket = await app.call('POST', '/api/v1/streams/ticket');
    const other = await openMjpeg(app, `?ticket=${ticket.json.data.ticket}`, null);
    expect(other.response.statusCode).toBe(200);
    await app.close();
    await other.ended;
  });

  it('send over a WebSocket, and are told there of what is wrong', async () => {
    const { app, robotKey } = await startVideo();
    const { ws, heard } = await openCamera(app, robotKey);
    ws.send(jpeg('socket'));
    await until('the frame', async () => (await streamsOf(app)).json.data.count === 1);
    ws.send('text');
    await until('the first complaint', () => heard.length === 2);
    ws.send(Buffer.from('no jpeg'));
    await until('the second complaint', () => heard.length === 3);
    expect(heard).toEqual([
      { type: 'viewers', watching: false, viewers: 0, timestamp: INSTANT },
      { error: 'Send each JPEG frame as one binary message', code: 'invalid_input' },
      {
        error: 'The frame is no whole JPEG: begin with FF D8, end with FF D9',
        code: 'invalid_input',
      },
    ]);
    ws.send(jpeg('again'));
    await until('the next frame', async () => {
      const { text } = await app.call('GET', `${ROBOT}/snapshot`);
      return text.includes('again');
    });
  });

  it('end with their key, and when a frame is too large for the socket', async () => {
    const { app, robotKey } = await startVideo({ config: { media: { jpeg_limit: 1_024 } } });
    const large = await openCamera(app, robotKey);
    large.ws.send(jpeg('x'.repeat(1_024)));
    expect(await large.closed).toBe(1_009);
    const { json } = await app.call('POST', '/api/v1/keys', { name: 'k', robot_id: 'r1' });
    const revoked = await openCamera(app, json.data.key);
    await app.call('DELETE', `/api/v1/keys/${json.data.id}`);
    expect(await revoked.closed).toBe(4_401);
  });

  it('are refused what is no frame, or too many', async () => {
    const { app, robotKey } = await startVideo({
      config: {
        media: { jpeg_limit: 2_048, jpeg_fps: 2 },
        features: { rate_limiting_enabled: true },
      },
    });
    const sent = (body: Uint8Array<ArrayBuffer>, type?: string, token = robotKey) =>
      push(app, token, body, type);
    expectFailure((await sent(jpeg(), 'application/json')) as never, 415, /image\/jpeg/);
    expectFailure((await sent(new Uint8Array(0))) as never, 400, /no whole JPEG/);
    expectFailure((await sent(jpeg('x'.repeat(2_048)))) as never, 413, /media\.jpeg_limit/);
    const watcher = await makeKey(app, { scopes: ['video:watch'] });
    expectFailure((await sent(jpeg(), TYPE, watcher)) as never, 403, /lacks the scope/);
    expectFailure((await sent(jpeg(), TYPE, 'unknown')) as never, 401);
    const answers = await Promise.all(Array.from({ length: 12 }, () => sent(jpeg())));
    const refused = answers.find(({ status }) => status === 429)!;
    expectFailure(refused as never, 429, /media\.jpeg_fps/);
    expect(refused.headers.get('retry-after')).toBe('1');
    const plain = await send(`${app.url}${ROBOT}/frames`, 'GET', { token: robotKey });
    expectFailure(plain as never, 426, /WebSockets/);
  });
});

describe('a robot is told of its viewers', () => {
  const told = (watching: boolean, viewers = watching ? 1 : 0) => ({
    ...{ type: 'viewers', watching, viewers, timestamp: INSTANT },
  });

  /** What a robot hears where it gets its commands. */
  async function listen(app: TestApp, robotKey: string, door: 'WebSocket' | 'SSE') {
    const search = '?notices=viewers';
    if (door === 'WebSocket') {
      const robot = await openRobot(app.url, 'r1', robotKey, { search });
      return () => robot.frames;
    }
    const stream = await openSse(`${app.url}${ROBOT}/control/subscribe${search}`, {
      authorization: `Bearer ${robotKey}`,
    });
    return () =>
      stream.blocks.flatMap(({ event, data = '' }) =>
        event === 'viewers' ? [JSON.parse(data)] : [],
      );
  }

  it('when the first comes, when the last has been gone for a while, and on each of its doors', async () => {
    for (const door of ['WebSocket', 'SSE'] as const) {
      const clock = createStoppedClock();
      const { app, robotKey } = await startVideo({ clock });
      const camera = await openCamera(app, robotKey);
      const heardAtDoor = await listen(app, robotKey, door);
      const all = () => [camera.heard, heardAtDoor()];
      const reach = (count: number) =>
        until(`${count} notices`, () => all().every((heard) => heard.length === count));
      await reach(1);
      const first = await openMjpeg(app);
      await reach(2);
      const second = await openMjpeg(app);
      first.close();
      second.close();
      await until('both to be gone', async () => (await streamsOf(app)).json.data.viewers === 0);
      clock.advance(LINGER_MS - 1);
      expect(all().map((heard) => heard.length)).toEqual([2, 2]);
      clock.advance(1);
      await reach(3);
      for (const heard of all()) expect(heard).toEqual([told(false), told(true), told(false)]);
    }
  });

  it('by tRPC, until its key ends', async () => {
    const { app } = await startVideo();
    const { json } = await app.call('POST', '/api/v1/keys', { name: 'k', robot_id: 'r1' });
    const heard: unknown[] = [];
    const ended = new Promise<unknown>((resolve) => {
      connect(app, json.data.key).video.viewers.subscribe(
        { robot_id: 'r1' },
        { onData: (notice) => heard.push(notice), onError: resolve },
      );
    });
    await until('the first', () => heard.length === 1);
    await openMjpeg(app);
    await until('the second', () => heard.length === 2);
    expect(heard).toEqual([told(false), told(true)]);
    await app.call('DELETE', `/api/v1/keys/${json.data.id}`);
    expect(await ended).toMatchObject({ message: 'Invalid certification key' });
  });

  it('at once when it comes while somebody watches, and not at all unless it asks', async () => {
    const { app, robotKey } = await startVideo();
    await openMjpeg(app);
    const plain = await openRobot(app.url, 'r1', robotKey);
    await app.call('POST', `${ROBOT}/control`, { action: 'pause' });
    expect((await plain.reach(1))[0]).toMatchObject({ type: 'pause' });
    const asking = await openRobot(app.url, 'r1', robotKey, { search: '?notices=viewers' });
    await asking.reach(2);
    expect(asking.frames).toContainEqual(told(true));
    expect(plain.frames).toHaveLength(1);
    const unasked = await openSse(`${app.url}${ROBOT}/control/subscribe`, {
      authorization: `Bearer ${robotKey}`,
    });
    await unasked.reach(1);
    expect(unasked.blocks.some(({ event }) => event === 'viewers')).toBe(false);
  });
});

const why = browserProblem ? ` (skipped: ${browserProblem})` : '';
describe.skipIf(browserProblem !== undefined)(`an <img> of a page${why}`, () => {
  const openPage = useBrowser();

  it('shows the MJPEG of a robot', async () => {
    const { app, robotKey } = await startVideo();
    const page = await openPage();
    // Browsers show pages of elsewhere nothing before they have seen 1 KiB of it.
    await push(app, robotKey, jpeg('x'.repeat(1_024)));
    const image = `<img src="${app.url}${ROBOT}/mjpeg?token=${app.admin.token}">`;
    // The page is never loaded to its end.
    await page.setContent(image, { waitUntil: 'commit' });
    const size = await until('a picture', () =>
      page.evaluate(() => {
        // biome-ignore lint/suspicious/noExplicitAny: a page has what Node has not
        const { naturalWidth, naturalHeight } = (globalThis as any).document.images[0];
        return naturalWidth > 0 && [naturalWidth, naturalHeight];
      }),
    );
    expect(size).toEqual([16, 8]);
  });
});
