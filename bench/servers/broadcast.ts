import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What a server of the fanout suite is asked on its message channel. */
export type BroadcastQuestion =
  /** As fast as the viewers take it, `per_tick` events in each turn. */
  | { ask: 'burst'; duration_ms: number; per_tick: number }
  /** At a fixed rate. */
  | { ask: 'paced'; duration_ms: number; events_per_second: number }
  /** So many events at a viewer that reads none of them. */
  | { ask: 'stall'; events: number };

export interface BroadcastAnswer {
  events: number;
  elapsed_ms: number;
  /** `stall`: the most that the heap and what is outside of it held beyond what they held before. */
  held_bytes: number;
}

/** Comes once in each event and nowhere else on any wire: what viewers count. The time of publishing follows it. */
export const MARK = '^';
export const TIME_DIGITS = 16;
/** Of the payload's JSON; with what stands around it about 660 bytes. */
const EVENT_BYTES = 600;
/** Viewers that have this much to take are waited for, well below every cap. */
const QUEUE_LIMIT_BYTES = 131_072;
const STALL_TURN_EVENTS = 10;
const STALL_LOOK_EVENTS = 5_000;

export interface EventPayload {
  at: string;
  text: string;
}

/** Microseconds of a clock that all processes of the machine share. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

function payload(): EventPayload {
  const at = MARK + String(nowUs()).padStart(TIME_DIGITS, '0');
  return { at, text: 'x'.repeat(EVENT_BYTES - 50) };
}

/** Publishes as it is asked to, until the process ends. `sockets` are the viewers' connections. */
export function serveBroadcasts(
  port: number,
  sockets: ReadonlySet<Socket>,
  publish: (payload: EventPayload) => void,
): void {
  process.on('message', (question: BroadcastQuestion) => {
    void answer(question).then((reply) => process.send?.(reply));
  });
  process.on('SIGTERM', () => process.exit());
  process.on('disconnect', () => process.exit());
  process.send?.({ port });

  async function answer(question: BroadcastQuestion): Promise<BroadcastAnswer> {
    const startedAtMs = performance.now();
    const elapsedMs = () => performance.now() - startedAtMs;
    let events = 0;
    let held_bytes = 0;
    switch (question.ask) {
      case 'burst':
        while (elapsedMs() < question.duration_ms) {
          for (let n = 0; n < question.per_tick; n += 1) publish(payload());
          events += question.per_tick;
          await turn();
          await queuesBelow(QUEUE_LIMIT_BYTES);
        }
        break;
      case 'paced':
        while (elapsedMs() < question.duration_ms) {
          if ((events * 1_000) / question.events_per_second <= elapsedMs()) {
            publish(payload());
            events += 1;
          }
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        break;
      case 'stall':
        held_bytes = await stall(question.events);
        return { events: question.events, elapsed_ms: elapsedMs(), held_bytes };
    }
    await queuesBelow(1);
    return { events, elapsed_ms: elapsedMs(), held_bytes };
  }

  async function queuesBelow(bytes: number): Promise<void> {
    const isFull = () => {
      for (const socket of sockets) if (socket.writableLength >= bytes) return true;
      return false;
    };
    while (isFull()) await turn();
  }

  async function stall(events: number): Promise<number> {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const heldBytes = () => {
      gc();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    heldBytes();
    await turn();
    const before = heldBytes();
    let most = before;
    for (let n = 1; n <= events; n += 1) {
      publish(payload());
      if (n % STALL_TURN_EVENTS === 0) await turn();
      if (n % STALL_LOOK_EVENTS === 0) most = Math.max(most, heldBytes());
    }
    return most - before;
  }
}
