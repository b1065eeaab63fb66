import type { Child } from '../lib/child.js';
import { cpuMicroseconds } from '../lib/proc-tree.js';
import { Latencies, median, medianOfRatios, percentile } from '../lib/stats.js';
import type { Bench, Round, SuiteResult, TableRow } from '../lib/suite.js';
import { judge } from '../lib/verdict.js';
import { type ViewerKind, Viewers } from '../lib/viewers.js';
import type { BroadcastAnswer, BroadcastQuestion } from '../servers/broadcast.js';
import { startComparison } from '../subjects/subject.js';

const VIEWERS = 1_000;
const QUICK_VIEWERS = 100;
const PACED_DELIVERIES_PER_SECOND = 10_000;
const STALL_EVENTS = 100_000;
const QUICK_STALL_EVENTS = 10_000;
const CAP_MB = 1;
const MB = 1_048_576;

interface Server {
  child: Child;
  port: number;
}

/** One way of telling all viewers. */
interface Cell {
  name: string;
  server: Server;
  kind: ViewerKind;
  ids: 'same' | 'each';
  perTick: number;
  rounds: Round[];
}

/**
 * Events from one hub to many viewers: through the product's doors, natively and through tRPC, against `ws` alone that
 * sends one buffer to all.
 */
export async function fanout(bench: Bench): Promise<SuiteResult> {
  const { args, directory } = bench;
  const count = args.quick ? QUICK_VIEWERS : VIEWERS;
  const children: Child[] = [];
  const started = async (name: string, ...rest: string[]): Promise<Server> => {
    const server = await startComparison(name, directory, rest);
    children.push(server.child);
    return server;
  };
  const viewers = new Viewers(directory);
  let undelivered = 0;

  /** Publishes as asked, and waits until everything has arrived. */
  async function broadcast({ server, kind, ids }: Cell, question: BroadcastQuestion) {
    await viewers.ask({ ask: 'open', port: server.port, kind, ids, viewers: count, reads: true });
    await viewers.ask({ ask: 'count', latencies: question.ask === 'paced' });
    const cpuBefore = cpuMicroseconds(server.child.pid);
    const { events, elapsed_ms } = await server.child.ask<BroadcastAnswer>(question);
    const cpuAfter = cpuMicroseconds(server.child.pid);
    const deliveries = events * count;
    const arrived = await viewers.reach(deliveries);
    undelivered += Math.abs(deliveries - arrived.count);
    await viewers.ask({ ask: 'close' });
    const latencies = new Latencies();
    for (const us of arrived.latencies_us) latencies.add(us / 1_000);
    return {
      per_second: (deliveries / elapsed_ms) * 1_000,
      cpu_us_per_request:
        cpuBefore === null || cpuAfter === null ? null : (cpuAfter - cpuBefore) / deliveries,
      latencies: latencies.ascending(),
    };
  }

  async function measure(cell: Cell, duration_ms: number): Promise<Round> {
    const burst = await broadcast(cell, { ask: 'burst', duration_ms, per_tick: cell.perTick });
    const events_per_second = PACED_DELIVERIES_PER_SECOND / count;
    const paced = await broadcast(cell, { ask: 'paced', duration_ms, events_per_second });
    return {
      per_second: burst.per_second,
      cpu_us_per_request: burst.cpu_us_per_request,
      p50_ms: percentile(paced.latencies, 0.5),
      p99_ms: percentile(paced.latencies, 0.99),
    };
  }

  try {
    const raw = await started('fanout-floor');
    const native = await started('fanout', 'native');
    const library = await started('fanout', 'library');
    const cellOf = (
      name: string,
      server: Server,
      kind: ViewerKind,
      options: Partial<Pick<Cell, 'ids' | 'perTick'>> = {},
    ): Cell => ({ name, server, kind, ids: 'same', perTick: 1, ...options, rounds: [] });
    const floor = cellOf('ws alone, one buffer', raw, 'ws');
    const shared = cellOf('tRPC WebSocket', native, 'trpc-ws');
    const each = cellOf('the same, every id different', native, 'trpc-ws', { ids: 'each' });
    const five = cellOf('the same, 5 events a tick', native, 'trpc-ws', { perTick: 5 });
    const through = cellOf('tRPC WebSocket, native_frames off', library, 'trpc-ws');
    const sse = cellOf('REST event stream', native, 'sse');
    const trpcSse = cellOf('tRPC event stream', native, 'trpc-sse');
    const cells = [floor, shared, each, five, through, sse, trpcSse];

    for (const cell of cells) {
      bench.progress(`warm-up: ${cell.name}`);
      await measure(cell, args.warmUpMs / 2);
    }
    for (let index = 0; index < args.rounds; index++) {
      for (const cell of index % 2 === 0 ? cells : cells.toReversed()) {
        const round = await measure(cell, args.roundMs / 2);
        cell.rounds.push(round);
        bench.progress(
          `round ${index + 1} of ${args.rounds}: ${cell.name}: ${Math.round(round.per_second)}/s, ` +
            `p99 ${round.p99_ms.toFixed(1)} ms`,
        );
      }
    }
    // What earlier rounds left behind must not be taken for what is held.
    const fresh = await started('fanout', 'native');
    const held = await stalled(fresh, args.quick ? QUICK_STALL_EVENTS : STALL_EVENTS);
    const atLeast = (name: string, cell: Cell, base: Cell, must: number) =>
      judge(name, speedRatio(cell, base), '>=', must);
    return {
      rows: cells.map((cell) => rowOf(cell, floor)),
      verdicts: [
        atLeast('tRPC WebSocket / ws alone', shared, floor, 0.8),
        atLeast('tRPC WebSocket, every id different / ws alone', each, floor, 0.7),
        atLeast('tRPC WebSocket, 5 events a tick / ws alone', five, floor, 2.5),
        atLeast('tRPC WebSocket / native_frames off', shared, through, 4),
        judge(
          'p99 at 10,000 deliveries/s, tRPC WebSocket / ws alone',
          medianOfRatios(p99Of(shared), p99Of(floor)),
          '<=',
          1.5,
        ),
        atLeast('REST event stream / ws alone', sse, floor, 0.8),
        atLeast('tRPC event stream / ws alone', trpcSse, floor, 0.8),
        judge('held for a viewer that reads nothing', held / MB, '<=', CAP_MB + 8, { unit: 'MB' }),
        judge('deliveries that did not arrive', undelivered, '=', 0, { kind: 'truth' }),
      ],
      notes: [
        `${count} viewers; deliveries per second with as many events as they take, latency at 10,000 deliveries/s`,
      ],
    };
  } finally {
    await viewers.close();
    await Promise.all(children.map((child) => child.kill()));
  }

  async function stalled({ child, port }: Server, events: number): Promise<number> {
    const one = { ask: 'open', port, kind: 'trpc-ws', viewers: 1, ids: 'same' } as const;
    await viewers.ask({ ...one, reads: false });
    const { held_bytes } = await child.ask<BroadcastAnswer>({ ask: 'stall', events });
    await viewers.ask({ ask: 'close' });
    return held_bytes;
  }
}

function speedRatio(cell: Cell, base: Cell): number {
  const speeds = ({ rounds }: Cell) => rounds.map(({ per_second }) => per_second);
  return medianOfRatios(speeds(cell), speeds(base));
}

function p99Of({ rounds }: Cell): number[] {
  return rounds.map(({ p99_ms }) => p99_ms);
}

function rowOf(cell: Cell, floor: Cell): TableRow {
  const { rounds } = cell;
  const cpu = rounds.map(({ cpu_us_per_request }) => cpu_us_per_request);
  return {
    variant: cell.name,
    per_second: median(rounds.map(({ per_second }) => per_second)),
    ratio: speedRatio(cell, floor),
    p50_ms: median(rounds.map(({ p50_ms }) => p50_ms)),
    p99_ms: median(p99Of(cell)),
    cpu_us_per_request: cpu.includes(null) ? null : median(cpu as number[]),
    rounds,
  };
}
