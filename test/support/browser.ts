import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { launchChromium } from './chromium.js';

export { browserProblem } from './chromium.js';

/** One headless Chromium for the tests of a `describe`, whose cameras and microphones are made up. */
export function useBrowser(options: BrowserContextOptions = {}): () => Promise<Page> {
  let browser: Browser;
  let url: string;
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>test</title>');
  });
  beforeAll(async () => {
    browser = await launchChromium();
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
