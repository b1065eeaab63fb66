import { resolve } from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { workerProblem } from '../../src/media/mediasoup/worker-binary.js';
import { startApp, type TestApp } from '../support/app.js';
import { browserProblem, useBrowser } from '../support/browser.js';
import { testDatabases } from '../support/databases.js';
import { watchEngine } from '../support/media.js';
import { until } from '../support/until.js';

/** What a page receives from one other, by what its browser says. */
interface Received {
  name: string;
  videoWidth: number;
  framesDecoded: number;
  audioPackets: number;
}

interface Stats {
  type: string;
  kind?: string;
  trackIdentifier: string;
  framesDecoded?: number;
  packetsReceived?: number;
}
interface Tile {
  querySelector(selector: string): {
    textContent: string;
    videoWidth: number;
    srcObject: { getTracks(): { id: string }[] } | null;
  };
}
/** The part of a browser that runs in the functions below. */
type PageWindow = typeof globalThis & {
  RTCPeerConnection: new (...args: unknown[]) => Peer;
  peers: Peer[];
  document: { querySelectorAll(selector: string): Iterable<Tile> };
};
interface Peer {
  connectionState: string;
  getStats(): Promise<Map<string, Stats>>;
}

/** Keeps the connections of a page, which it has no reason to show. */
function keepPeers(): void {
  const page = globalThis as PageWindow;
  page.peers = [];
  const Original = page.RTCPeerConnection;
  page.RTCPeerConnection = class extends Original {
    constructor(...args: unknown[]) {
      super(...args);
      page.peers.push(this);
    }
  };
}

async function readReceived(): Promise<Received[]> {
  const page = globalThis as PageWindow;
  const stats: Stats[] = [];
  for (const peer of page.peers) {
    if (peer.connectionState === 'closed') continue;
    stats.push(...(await peer.getStats()).values());
  }
  const inbound = stats.filter(({ type }) => type === 'inbound-rtp');
  return [...page.document.querySelectorAll('#tiles .tile:not(.own)')].map((tile) => {
    const video = tile.querySelector('video');
    const ids = video.srcObject?.getTracks().map(({ id }) => id) ?? [];
    const own = inbound.filter(({ trackIdentifier }) => ids.includes(trackIdentifier));
    const of = (kind: string) => own.filter((report) => report.kind === kind);
    return {
      name: tile.querySelector('.name').textContent,
      videoWidth: video.videoWidth,
      framesDecoded: of('video').reduce((sum, { framesDecoded = 0 }) => sum + framesDecoded, 0),
      audioPackets: of('audio').reduce((sum, { packetsReceived = 0 }) => sum + packetsReceived, 0),
    };
  });
}

interface PlainState {
  errors: unknown[];
  streams: { id: string; kinds: string[]; videoWidth: number; frames: number }[];
}

const PLAIN_CLIENT = resolve(import.meta.dirname, 'fixtures/plain-room-client.js');
const problem = browserProblem ?? workerProblem(process.env.MEDIASOUP_WORKER_BIN);
const title = 'the page of a room';

describe.skipIf(problem)(problem ? `${title} (skipped: ${problem})` : title, () => {
  const newPage = useBrowser();

  function start(): Promise<TestApp> {
    return startApp(testDatabases[0]!, {
      config: { media: { workers: 1, rtc_port: 0, listen_ip: '127.0.0.1' } },
    });
  }

  /** A page that is in the room; it must never throw. */
  async function enter(url: string, name: string): Promise<Page> {
    const page = await newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) errors.push(message.text());
    });
    onTestFinished(() => expect(errors).toEqual([]));
    await page.addInitScript(keepPeers);
    await page.goto(url);
    await join(page, name);
    return page;
  }

  async function join(page: Page, name: string): Promise<void> {
    await page.fill('#name', name);
    await page.click('#join');
    await page.waitForSelector('#call:not([hidden])');
  }

  /** Waits until a page sees and hears exactly these, and goes on doing so. */
  async function watches(page: Page, names: string[]): Promise<void> {
    const read = () => page.evaluate(readReceived);
    const flows = (all: Received[]) =>
      all
        .map(({ name }) => name)
        .sort()
        .join() === [...names].sort().join() &&
      all.every(
        ({ videoWidth, framesDecoded, audioPackets }) =>
          videoWidth > 0 && framesDecoded > 0 && audioPackets > 0,
      );
    let last: Received[] = [];
    try {
      const first = await until(`${names} in a page`, async () => {
        last = await read();
        return flows(last) && last;
      });
      const before = new Map(first.map((one) => [one.name, one]));
      await until(`more of ${names}`, async () => {
        last = await read();
        return (
          flows(last) &&
          last.every(({ name, framesDecoded, audioPackets }) => {
            const { framesDecoded: frames, audioPackets: packets } = before.get(name)!;
            return framesDecoded >= frames + 10 && audioPackets >= packets + 10;
          })
        );
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}; the page has ${JSON.stringify(last)}`);
    }
  }

  async function newRoom(app: TestApp): Promise<string> {
    return (await app.call('POST', '/api/rooms/create', undefined, null)).json.url;
  }

  it('shows and plays two to each other, and a third; one leaves and comes back', async () => {
    const app = await start();
    const url = await newRoom(app);
    const ann = await enter(url, 'Ann');
    await ann.waitForSelector('#tiles .own video');
    const bob = await enter(url, 'Bob');
    await Promise.all([watches(ann, ['Bob']), watches(bob, ['Ann'])]);

    const cora = await enter(url, 'Cora');
    await Promise.all([
      watches(ann, ['Bob', 'Cora']),
      watches(bob, ['Ann', 'Cora']),
      watches(cora, ['Ann', 'Bob']),
    ]);

    await bob.click('#leave');
    await bob.waitForSelector('#lobby:not([hidden])');
    await Promise.all([watches(ann, ['Cora']), watches(cora, ['Ann'])]);
    await join(bob, 'Bob again');
    await Promise.all([
      watches(ann, ['Bob again', 'Cora']),
      watches(bob, ['Ann', 'Cora']),
      watches(cora, ['Ann', 'Bob again']),
    ]);
    expect(await ann.textContent('#count')).toBe('3 people');
  });

  it('comes back by itself when the media worker was killed', async () => {
    const engine = await watchEngine();
    const app = await start();
    const url = await newRoom(app);
    const ann = await enter(url, 'Ann');
    const bob = await enter(url, 'Bob');
    await Promise.all([watches(ann, ['Bob']), watches(bob, ['Ann'])]);
    process.kill(engine.workers[0]!.pid!, 'SIGKILL');
    await until('another worker', () => engine.workers.length > 1);
    await Promise.all([watches(ann, ['Bob']), watches(bob, ['Ann'])]);
  });

  it.each(['hyphens', 'underscores', 'top-level'])(
    'is in one call with a client that knows the documentation alone, and writes %s',
    async (dialect) => {
      const app = await start();
      const url = await newRoom(app);
      const ann = await enter(url, 'Ann');
      await ann.waitForSelector('#tiles .own video');
      const plain = await newPage();
      await plain.addScriptTag({ path: PLAIN_CLIENT });
      const roomId = new URL(url).pathname.split('/').at(-1);
      const call = [app.url, roomId, 'user_123', dialect].map((text) => JSON.stringify(text));
      await plain.evaluate(`joinPlainly(${call})`);
      const state = () => plain.evaluate('plainState()') as Promise<PlainState>;
      await until('the page in the plain client', async () => {
        const { streams } = await state();
        return streams[0] && streams[0].videoWidth > 0 && streams[0].frames > 10;
      });
      const { errors, streams } = await state();
      expect({ errors, streams }).toEqual({
        errors: [],
        streams: [expect.objectContaining({ kinds: ['audio', 'video'] })],
      });
      expect(streams[0]!.id).toMatch(/^web-\d+$/);
      // It gave no name.
      await watches(ann, ['Guest']);
    },
    60_000,
  );

  it('mutes and shows no more, and says so on the buttons', async () => {
    const app = await start();
    const url = await newRoom(app);
    const ann = await enter(url, 'Ann');
    const sent = () =>
      ann.evaluate('peers[0]?.getSenders().map(({ track }) => [track.kind, track.enabled])');
    await until('a connection', async () => (await sent()) !== undefined);
    await ann.click('#microphone');
    expect(await ann.textContent('#microphone')).toBe('Unmute');
    expect(await ann.getAttribute('#microphone', 'aria-pressed')).toBe('true');
    expect(await sent()).toEqual([
      ['audio', false],
      ['video', true],
    ]);
    await ann.click('#microphone');
    await ann.click('#camera');
    expect(await ann.textContent('#microphone')).toBe('Mute');
    expect(await ann.textContent('#camera')).toBe('Camera on');
    expect(await sent()).toEqual([
      ['audio', true],
      ['video', false],
    ]);
  });

  it('says what is wrong with a room that is not there', async () => {
    const app = await start();
    const page = await newPage();
    await page.goto(`${app.url}/room/nosuchroom`);
    await page.click('#join');
    await until('what is wrong', async () =>
      (await page.textContent('#lobby-notice'))?.includes('no such room'),
    );
  });
});
