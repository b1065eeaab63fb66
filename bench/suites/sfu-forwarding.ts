import { setTimeout as sleep } from 'node:timers/promises';
import { PACKET_BYTES, PACKETS_PER_SECOND } from '../lib/rtp-camera.js';
import {
  capacityOf,
  type ForwardingStep,
  lostByWorker,
  microsecondsPerPacket,
  whyFull,
} from '../lib/sfu-capacity.js';
import { median } from '../lib/stats.js';
import type { Bench, SuiteResult, TableRow } from '../lib/suite.js';
import { formatNumber } from '../lib/table.js';
import { judge, type Verdict } from '../lib/verdict.js';
import { type Forwarder, type Look, startForwarder } from '../subjects/sfu-forwarder.js';

const STEPS_WHEN_QUICK = [0, 50, 100];
const STEPS = [0, 50, 100, 200, ...Array.from({ length: 14 }, (_, index) => 400 + index * 200)];
const JUDGED_STREAMS = 50;
/** A receiver begins with a key frame, of which there is one a second. */
const ALL_HEARD_LIMIT_MS = 10_000;
const SETTLE_MS = 500;

/** More and more receivers of one stream, until packets are lost or a core is used up. */
export async function measureForwarding(bench: Bench): Promise<SuiteResult> {
  const forwarder = await startForwarder(bench.directory);
  try {
    const steps: ForwardingStep[] = [];
    for (const streams of bench.args.quick ? STEPS_WHEN_QUICK : STEPS) {
      const step = await measureStep(bench, forwarder, streams);
      steps.push(step);
      bench.progress(
        `${streams} streams: ${percent(step.cores)} of a core and ${percent(step.waiting)} waiting for one, ` +
          `${step.packets_lost} packets lost`,
      );
      if (whyFull(step) !== undefined) break;
    }
    return {
      rows: steps.slice(1).map((step) => rowOf(step, steps[0]!)),
      verdicts: steps.filter(({ streams }) => streams === JUDGED_STREAMS).flatMap(verdictsOf),
      notes: notesOf(steps, forwarder),
    };
  } finally {
    await forwarder.kill();
  }
}

async function measureStep(
  bench: Bench,
  forwarder: Forwarder,
  streams: number,
): Promise<ForwardingStep> {
  await forwarder.receivers(streams);
  const looks = [await settle(forwarder, streams)];
  for (let index = 0; index < bench.args.rounds; index++) {
    await sleep(bench.args.roundMs);
    looks.push(await forwarder.look());
  }
  const first = looks[0]!;
  const last = looks.at(-1)!;
  const sent = last.packets_sent - first.packets_sent;
  const received = last.received - first.received;
  const silent = Math.max(streams - last.heard, 0);
  return {
    streams,
    packets_due: sent * streams,
    packets_received: received,
    packets_lost: last.expected - first.expected - received + silent * sent,
    dropped_at_sink: last.dropped_at_sink - first.dropped_at_sink,
    packets_per_second: (received / (last.at_ms - first.at_ms)) * 1000,
    cores: median(shares(looks, 'worker_us')),
    waiting: Math.max(...shares(looks, 'worker_waited_us')),
    sink_cores: median(shares(looks, 'sink_us')),
    worker_bytes: last.worker_bytes,
  };
}

/** The first look at which all receivers are heard, or the last that is waited for. */
async function settle(forwarder: Forwarder, streams: number): Promise<Look> {
  const limitMs = performance.now() + ALL_HEARD_LIMIT_MS;
  await forwarder.look();
  for (;;) {
    await sleep(SETTLE_MS);
    const look = await forwarder.look();
    if (look.heard >= streams || performance.now() > limitMs) return look;
  }
}

/** Of a core, in each round. */
function shares(
  looks: readonly Look[],
  of: 'worker_us' | 'worker_waited_us' | 'sink_us',
): number[] {
  return looks
    .slice(1)
    .map(
      (look, index) => (look[of] - looks[index]![of]) / 1000 / (look.at_ms - looks[index]!.at_ms),
    );
}

function rowOf(step: ForwardingStep, idle: ForwardingStep): TableRow {
  return {
    variant: `forwarded streams: ${step.streams}`,
    per_second: step.packets_per_second,
    ratio: null,
    p50_ms: null,
    p99_ms: null,
    cpu_us_per_request: microsecondsPerPacket(step, idle),
    rounds: [],
  };
}

function verdictsOf(step: ForwardingStep): Verdict[] {
  const at = `at ${step.streams} streams`;
  return [
    judge(`packets lost by the worker ${at}`, lostByWorker(step), '=', 0, { kind: 'truth' }),
    judge(`packets received ${at}`, step.packets_received, '>=', 1, { kind: 'truth' }),
  ];
}

function notesOf(steps: readonly ForwardingStep[], { buffer_bytes }: Forwarder): string[] {
  const idle = steps[0]!;
  const perStream = steps.slice(1).map(({ streams, cores, worker_bytes }) => {
    const kilobytes = (worker_bytes - idle.worker_bytes) / streams / 1000;
    return `${streams}: ${percent((cores - idle.cores) / streams)}, ${kilobytes.toFixed(0)} kB`;
  });
  const { streams, how } = capacityOf(steps);
  const last = steps.at(-1)!;
  const dropped = steps.reduce((sum, { dropped_at_sink }) => sum + dropped_at_sink, 0);
  const kbps = (PACKETS_PER_SECOND * PACKET_BYTES * 8) / 1000;
  return [
    `forwarded: one stream of ${kbps.toFixed(0)} kb/s to SRTP receivers on loopback that send nothing back; ` +
      `req/s are packets/s, CPU is the worker's for each packet`,
    `the worker takes ${percent(idle.cores)} of a core for what comes in; for each forwarded stream, CPU and memory: ` +
      perStream.join('; '),
    `one core forwards ${formatNumber(streams)} such streams (${how})`,
    `the receiving process took ${percent(last.sink_cores)} of a core at ${last.streams} streams and dropped ${dropped} ` +
      `packets that had come, with ${Math.round(buffer_bytes / 1024)} KiB for each of its sockets`,
  ];
}

function percent(share: number): string {
  return `${formatNumber(share * 100)} %`;
}
