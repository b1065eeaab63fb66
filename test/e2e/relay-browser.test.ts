import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { startApp } from '../support/app.js';
import { browserProblem, useBrowser } from '../support/browser.js';
import { certificateProblem, makeTestCertificate } from '../support/certificate.js';
import { testDatabases } from '../support/databases.js';
import { until } from '../support/until.js';

interface Received {
  kind: string;
  framesDecoded: number;
  frameWidth: number;
  packetsReceived: number;
}

/** What `test/fixtures/relay-client.js` gives a page. */
type CallerWindow = typeof globalThis & {
  joinCall(address: string): Promise<void>;
  startCall(): Promise<void>;
  clientId: string | undefined;
  connectionState(): string;
  received(): Promise<Received[]>;
};

const CLIENT = fileURLToPath(new URL('../fixtures/relay-client.js', import.meta.url));

const received = (page: Page) => page.evaluate(() => (globalThis as CallerWindow).received());
const clientIdOf = (page: Page) =>
  until('an id', () => page.evaluate(() => (globalThis as CallerWindow).clientId));

/** Sees a picture that moves, and hears sound. */
async function perceivesTheOther(page: Page): Promise<void> {
  const stream = async (kind: string) => (await received(page)).find((one) => one.kind === kind);
  await until('the first picture', async () => ((await stream('video'))?.framesDecoded ?? 0) > 0);
  const before = (await stream('video'))!;
  expect(before.frameWidth).toBeGreaterThan(0);
  await until('ten more pictures and sound', async () => {
    const [video, audio] = [await stream('video'), await stream('audio')];
    const pictures = (video?.framesDecoded ?? 0) - before.framesDecoded;
    return pictures >= 10 && (audio?.packetsReceived ?? 0) > 0;
  });
}

const problem = browserProblem ?? certificateProblem;
if (problem) console.warn(`Calls between browsers are skipped: ${problem}`);
const why = problem ? ` (skipped: ${problem})` : '';

describe.skipIf(problem)(`two browsers with the documented client${why}`, () => {
  const openPage = useBrowser({ ignoreHTTPSErrors: true });

  async function callEachOther(address: string) {
    const [caller, receiver] = [await openPage(), await openPage()];
    const problems: Error[] = [];
    for (const page of [caller, receiver]) {
      page.on('pageerror', (error) => problems.push(error));
      await page.addScriptTag({ path: CLIENT });
      await page.evaluate((to) => (globalThis as CallerWindow).joinCall(to), address);
    }
    expect(await clientIdOf(caller)).not.toBe(await clientIdOf(receiver));
    await caller.evaluate(() => (globalThis as CallerWindow).startCall());
    await Promise.all([perceivesTheOther(caller), perceivesTheOther(receiver)]);
    expect(problems).toEqual([]);
    const states = [caller, receiver].map((page) =>
      page.evaluate(() => (globalThis as CallerWindow).connectionState()),
    );
    expect(await Promise.all(states)).toEqual(['connected', 'connected']);
  }

  it('see and hear each other, over TLS on a listener for the relay alone', async () => {
    const { cert, key } = await makeTestCertificate();
    const relay = { port: 0, host: '127.0.0.1', api: 'relay' as const, tls: { cert, key } };
    const { app } = await startApp(testDatabases[0]!, {
      config: { server: { listeners: [relay] }, features: { rate_limiting_enabled: true } },
    });
    const url = app.furtherAddresses()[0]?.url.replace('https', 'wss');
    await callEachOther(`${url}/ws`);
  });

  it('see and hear each other with a key in the address, where nobody gets in without', async () => {
    const { url, admin } = await startApp(testDatabases[0]!, {
      config: { access: { anonymous: 'nobody' } },
    });
    await callEachOther(`${url.replace('http', 'ws')}/k/${admin.token}/ws`);
  });
});
