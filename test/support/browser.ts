import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, onTestFinished } from 'vitest';

const PLACES = [process.env.CHROMIUM_BIN, '/usr/bin/chromium', '/usr/bin/google-chrome'];
const place = PLACES.find((path) => path && existsSync(path));

/** Why no browser can be started, for the titles of skipped tests; undefined when one can. */
export const browserProblem = place
  ? undefined
  : 'Chromium is not installed; CHROMIUM_BIN may name one';

/** One headless Chromium for the tests of a `describe`, whose cameras and microphones are made up. */
export function useBrowser(options: BrowserContextOptions = {}): () => Promise<Page> {
  let browser: Browser;
  let url: string;
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>test</title>');
  });
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: place!,
      args: [
        ...['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
        ...['--allow-loopback-in-peer-connection', '--autoplay-policy=no-user-gesture-required'],
      ],
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    // Cameras need a secure context, which localhost is.
    url = `http://localhost:${port}/`;
  });
  afterAll(async () => {
    await browser?.close();
    server.close();
  });
  return async () => {
    const context = await browser.newContext(options);
    onTestFinished(() => context.close());
    const page = await context.newPage();
    await page.goto(url);
    return page;
  };
}
