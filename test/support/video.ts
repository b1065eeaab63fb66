import type { Page } from 'playwright-core';
import { type StartAppOptions, startApp, type TestApp } from './app.js';
import { testDatabases } from './databases.js';
import { until } from './until.js';

const sqlite = testDatabases[0]!;
const MEDIA = { rtc_port: 0, workers: 1, listen_ip: '127.0.0.1' };

/** A server with the robot `r1` of the admin, and its key. */
export async function startVideo({ config, ...options }: StartAppOptions = {}) {
  const app = await startApp(sqlite, {
    ...options,
    config: { ...config, media: { ...MEDIA, ...config?.media } },
  });
  await app.call('POST', '/api/v1/robots', { robot_id: 'r1', robot_type: 'cart' });
  const robotKey = await makeKey(app, { robot_id: 'r1' });
  return { app, robotKey, streams: async () => (await streamsOf(app)).json.data };
}

export async function makeKey(
  app: TestApp,
  spec: { robot_id?: string; scopes?: string[] },
  token?: string,
): Promise<string> {
  const { json } = await app.call('POST', '/api/v1/keys', { name: 'k', ...spec }, token);
  return json.data.key;
}

export function streamsOf(app: TestApp) {
  return app.call('GET', '/api/v1/robots/r1/streams');
}

/** A request whose body is no JSON. */
export async function send(
  url: string,
  method: string,
  {
    token,
    type,
    body,
    headers = {},
  }: {
    token?: string | null;
    type?: string;
    body?: string | Uint8Array<ArrayBuffer>;
    headers?: Record<string, string>;
  } = {},
) {
  const response = await fetch(url, {
    method,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(type !== undefined && { 'content-type': type }),
      ...headers,
    },
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  const json = isJson && text !== '' ? JSON.parse(text) : undefined;
  return { status: response.status, headers: response.headers, text, json };
}

interface Begun {
  status: number;
  location: string;
  etag: string;
  type: string;
  body?: string;
  retryAfter?: string;
}

/** What `test/fixtures/whip-client.js` gives a page. */
type VideoWindow = typeof globalThis & {
  video: {
    whip(url: string, token: string, label?: string): Promise<Begun>;
    whep(url: string, token: string): Promise<Begun>;
    restart(location: string): Promise<{ status: number; etag: string; ufrag: string }>;
    end(location: string): Promise<number>;
    state(location: string): string;
    received(location: string): Promise<{ audio: number; video: number }>;
  };
};

/** A page that sends by WHIP and watches by WHEP. */
export async function videoPage(open: () => Promise<Page>, url: string) {
  const page = await open();
  await page.addScriptTag({ path: 'test/fixtures/whip-client.js' });
  const received = (location: string) =>
    page.evaluate((at) => (globalThis as VideoWindow).video.received(at), location);
  return {
    page,
    whip: (token: string, label?: string) =>
      page.evaluate(
        ([at, key, name]) => (globalThis as VideoWindow).video.whip(at!, key!, name),
        [`${url}/whip/r1`, token, label],
      ),
    whep: (token: string, search = '') =>
      page.evaluate(
        ([at, key]) => (globalThis as VideoWindow).video.whep(at!, key!),
        [`${url}/whep/r1${search}`, token],
      ),
    restart: (location: string) =>
      page.evaluate((at) => (globalThis as VideoWindow).video.restart(at), location),
    end: (location: string) =>
      page.evaluate((at) => (globalThis as VideoWindow).video.end(at), location),
    state: (location: string) =>
      page.evaluate((at) => (globalThis as VideoWindow).video.state(at), location),
    received,
    /** Pictures are decoded, and sound comes, from now on. */
    async perceives(location: string, kinds: readonly ('audio' | 'video')[] = ['audio', 'video']) {
      const before = await received(location);
      await until(`${kinds} at ${location}`, async () => {
        const now = await received(location);
        return kinds.every((kind) => now[kind] > before[kind] + 10);
      });
    },
  };
}
