/** So many receivers of one stream for a while. */
export interface ForwardingStep {
  streams: number;
  /** What came in at the worker, times the streams. */
  packets_due: number;
  packets_received: number;
  /** By the gaps in the sequence numbers, and what a stream missed that did not come at all. */
  packets_lost: number;
  /** Those of them that the worker had sent and the receiving process was too slow to read. */
  dropped_at_sink: number;
  packets_per_second: number;
  /** Of the worker: 1 is a whole core. NaN where it cannot be measured, as the next three. */
  cores: number;
  /** The share of the time that the worker had something to do and no core to do it on, in the worst round. */
  waiting: number;
  sink_cores: number;
  worker_bytes: number;
}

export interface Full {
  reason: string;
  /** False when something else than the worker could not follow. */
  by_worker: boolean;
}

export interface Capacity {
  streams: number;
  how: string;
}

const LOSS_LIMIT = 0.001;
const LATE_LIMIT_S = 0.5;
/** More, and the machine has other things to do: a worker that is kept waiting loses what it could carry. */
const WAITING_LIMIT = 0.1;
/** The clock of the kernel and the machine's other work leave it no more. */
const WHOLE_CORE = 0.97;

export function lostByWorker({ packets_lost, dropped_at_sink }: ForwardingStep): number {
  return Math.max(packets_lost - dropped_at_sink, 0);
}

/** Why no more streams can be added; undefined when they can. */
export function whyFull(step: ForwardingStep): Full | undefined {
  const { streams, packets_due, packets_received, packets_lost, dropped_at_sink } = step;
  if (streams === 0) return undefined;
  const at = `at ${streams} streams`;
  const lost = lostByWorker(step);
  const busy = step.waiting > WAITING_LIMIT;
  const because = busy ? ', the machine being busy' : '';
  if (lost > packets_due * LOSS_LIMIT) {
    return {
      reason: `${at} ${lost} of ${packets_due} packets were lost${because}`,
      by_worker: !busy,
    };
  }
  if (step.cores >= WHOLE_CORE) return { reason: `${at} the core was used up`, by_worker: true };
  if (dropped_at_sink > packets_due * LOSS_LIMIT) {
    return { reason: `${at} the receiving process could not follow`, by_worker: false };
  }
  const late = packets_due - packets_received - packets_lost;
  if (late > step.packets_per_second * LATE_LIMIT_S) {
    return { reason: `${at} packets came ever later${because}`, by_worker: !busy };
  }
  return undefined;
}

/** Microseconds of CPU for each packet that was forwarded; `idle` is the step with no receiver. */
export function microsecondsPerPacket(step: ForwardingStep, idle: ForwardingStep): number {
  return ((step.cores - idle.cores) * 1e6) / step.packets_per_second;
}

/** Streams that one core forwards: as many as it did, when it was the core that ended it, else by its use so far. */
export function capacityOf(steps: readonly ForwardingStep[]): Capacity {
  const idle = steps[0]!;
  const last = steps.at(-1)!;
  const full = whyFull(last);
  const before = steps.at(-2) ?? idle;
  const sound = full && before !== idle ? before : last;
  if (full?.by_worker) return { streams: before.streams, how: `measured: ${full.reason}` };
  const perStream = (sound.cores - idle.cores) / sound.streams;
  return {
    streams: Math.floor((1 - idle.cores) / perStream),
    how: `extrapolated from ${sound.streams}${full ? `: ${full.reason}` : ''}`,
  };
}
