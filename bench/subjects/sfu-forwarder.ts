import { join } from 'node:path';
import { Child, typescriptArgs } from '../lib/child.js';
import { cpuMicroseconds, residentBytes, waitedMicroseconds } from '../lib/proc-tree.js';
import { kernelDrops } from '../lib/udp-drops.js';

/** All counts since the start. */
export interface Look {
  at_ms: number;
  /** Into the worker. */
  packets_sent: number;
  received: number;
  expected: number;
  /** Streams of which something came since the last look. */
  heard: number;
  dropped_at_sink: number;
  worker_us: number;
  /** For a core to run on. */
  worker_waited_us: number;
  sink_us: number;
  worker_bytes: number;
}

export interface Forwarder {
  /** The buffer of each socket of the receiving process. */
  buffer_bytes: number;
  /** Adds receivers until there are so many. */
  receivers(count: number): Promise<void>;
  look(): Promise<Look>;
  kill(): Promise<void>;
}

/** A worker that forwards one stream, and the process that receives it. */
export async function startForwarder(directory: string): Promise<Forwarder> {
  const start = (name: string, args: string[] = []) =>
    new Child({
      args: [...typescriptArgs(`servers/${name}.ts`), ...args],
      cwd: directory,
      outputPath: join(directory, `${name}.log`),
    });
  const children: Child[] = [];
  const kill = async () => {
    await Promise.all(children.map((child) => child.kill()));
  };
  try {
    const sink = start('rtp-sink');
    children.push(sink);
    const { ports, buffer_bytes } = await sink.nextMessage<{
      ports: number[];
      buffer_bytes: number;
    }>();
    const engine = start('sfu-forwarder', ports.map(String));
    children.push(engine);
    const { worker_pid } = await engine.nextMessage<{ worker_pid: number }>();
    return {
      buffer_bytes,
      kill,
      async receivers(count) {
        await engine.ask({ receivers: count });
      },
      async look() {
        const { packets_sent } = await engine.ask<{ packets_sent: number }>({});
        const report = await sink.ask<Pick<Look, 'received' | 'expected' | 'heard'>>({});
        return {
          at_ms: performance.now(),
          packets_sent,
          ...report,
          dropped_at_sink: kernelDrops(ports) ?? 0,
          worker_us: cpuMicroseconds(worker_pid) ?? Number.NaN,
          worker_waited_us: waitedMicroseconds(worker_pid) ?? Number.NaN,
          sink_us: cpuMicroseconds(sink.pid) ?? Number.NaN,
          worker_bytes: residentBytes(worker_pid) ?? Number.NaN,
        };
      },
    };
  } catch (error) {
    await kill();
    throw error;
  }
}
