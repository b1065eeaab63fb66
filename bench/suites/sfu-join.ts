import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { browserProblem, launchChromium } from '../../test/support/chromium.js';
import { Latencies, median, percentile } from '../lib/stats.js';
import type { Bench, SuiteResult, TableRow } from '../lib/suite.js';
import { judge } from '../lib/verdict.js';
import { startFleetwire } from '../subjects/fleetwire.js';

const PAGE_SCRIPT = fileURLToPath(new URL('../pages/room-member.js', import.meta.url));
const JOINS_PER_ROUND = 10;
const JOINS_WHEN_QUICK = 5;
/** Longer than the interval within which requests for key frames are merged, so that each join asks for its own. */
const PAUSE_MS = 700;
const FIRST_FRAME = 'join to first frame';
const SEEN_BY_OTHERS = 'join to first frame at who is there';

/** A page joins a room where another one sends: how long until it has a picture, and until the other has one of it. */
export async function measureJoins(bench: Bench): Promise<SuiteResult> {
  if (browserProblem !== undefined) {
    const row = rowOf(`${FIRST_FRAME} (skipped: ${browserProblem})`, new Latencies());
    return { rows: [row], verdicts: [], notes: [] };
  }
  const { child, port } = await startFleetwire({
    directory: bench.directory,
    name: 'fleetwire-rooms',
    databasePath: join(bench.directory, 'rooms.db'),
  });
  const browser = await launchChromium().catch(async (error) => {
    await child.kill();
    throw error;
  });
  try {
    return await joinRepeatedly(bench, browser, port);
  } finally {
    await browser.close();
    await child.kill();
  }
}

async function joinRepeatedly(bench: Bench, browser: Browser, port: number): Promise<SuiteResult> {
  const roomId = await createRoom(port);
  const sender = await openMember(browser, port);
  const newcomer = await openMember(browser, port);
  await sender.enter(roomId, 'sender');
  const own = new Latencies();
  const others = new Latencies();
  let blind = 0;
  let joins = 0;

  async function joinOnce(): Promise<{ ownMs: number | null; othersMs: number | null }> {
    const name = `newcomer-${joins}`;
    joins += 1;
    const joinedAt = await newcomer.enter(roomId, name);
    const [ownAt, othersAt] = await Promise.all([
      newcomer.when('sender seen'),
      sender.when(`${name} seen`),
    ]);
    await newcomer.leave();
    await sender.when(`${name} left`);
    await sleep(PAUSE_MS);
    return { ownMs: ownAt && ownAt - joinedAt, othersMs: othersAt && othersAt - joinedAt };
  }

  bench.progress('warm-up: joins');
  for (let index = 0; index < 2; index++) await joinOnce();
  for (let index = 0; index < bench.args.rounds; index++) {
    const round: number[] = [];
    const count = bench.args.quick ? JOINS_WHEN_QUICK : JOINS_PER_ROUND;
    for (let n = 0; n < count; n++) {
      const { ownMs, othersMs } = await joinOnce();
      if (ownMs === null || othersMs === null) blind += 1;
      if (ownMs !== null) {
        own.add(ownMs);
        round.push(ownMs);
      }
      if (othersMs !== null) others.add(othersMs);
    }
    bench.progress(
      `round ${index + 1} of ${bench.args.rounds}: joins, first frame after ${median(round).toFixed(0)} ms`,
    );
  }
  return {
    rows: [rowOf(FIRST_FRAME, own), rowOf(SEEN_BY_OTHERS, others)],
    verdicts: [
      judge(`${FIRST_FRAME}, median`, percentile(own.ascending(), 0.5), '<=', 250, { unit: 'ms' }),
      judge('joins with no picture on either side', blind, '=', 0, { kind: 'truth' }),
    ],
    notes: [
      `${own.ascending().length} joins of a Chromium page over the documented WebSocket, one at a time, audio and video`,
    ],
  };
}

/** A page of the server's own origin, with bench/pages/room-member.js in it. */
async function openMember(browser: Browser, port: number) {
  const page = await (await browser.newContext()).newPage();
  await page.addInitScript({ path: PAGE_SCRIPT });
  await page.goto(`http://127.0.0.1:${port}/health`);
  const call = <Answer>(name: string, ...args: string[]): Promise<Answer> =>
    page.evaluate(`member.${name}(${args.map((text) => JSON.stringify(text))})`);
  await call('openCamera');
  return {
    enter: (roomId: string, userId: string) => call<number>('enter', roomId, userId),
    when: (moment: string) => call<number | null>('when', moment),
    leave: () => call<void>('leave'),
  };
}

async function createRoom(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/api/rooms/create`, { method: 'POST' });
  if (!response.ok) throw new Error(`a room could not be made: ${response.status}`);
  return ((await response.json()) as { room_id: string }).room_id;
}

function rowOf(variant: string, latencies: Latencies): TableRow {
  const ascending = latencies.ascending();
  return {
    variant,
    per_second: null,
    ratio: null,
    p50_ms: percentile(ascending, 0.5),
    p99_ms: percentile(ascending, 0.99),
    cpu_us_per_request: null,
    rounds: [],
  };
}
