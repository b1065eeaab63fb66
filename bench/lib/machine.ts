import { closeSync, fdatasyncSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { percentile } from './stats.js';

const TMPFS_MAGIC = 0x01021994;

export interface Machine {
  cores: number;
  cpu_model: string;
  memory_bytes: number;
  system: string;
  node: string;
  /** Running processes in the minute before: what else is at work takes part in every number. */
  load_before: number;
  /** Writing 4 KiB and waiting until the disk has it. */
  disk_sync_p50_ms: number;
  disk_sync_p99_ms: number;
  /** The databases are in memory: "durable" costs nothing there and no number of a write means anything. */
  disk_is_memory: boolean;
}

export function describeMachine(directory: string): Machine {
  const syncs = measureSyncs(join(directory, 'sync-probe'), 200);
  return {
    cores: availableParallelism(),
    cpu_model: cpus()[0]?.model.trim() ?? 'unknown',
    memory_bytes: totalmem(),
    system: `${type()} ${release()}`,
    node: process.version,
    load_before: loadavg()[0] as number,
    disk_sync_p50_ms: percentile(syncs, 0.5),
    disk_sync_p99_ms: percentile(syncs, 0.99),
    disk_is_memory: statfsSync(directory).type === TMPFS_MAGIC,
  };
}

export function formatMachine(machine: Machine): string {
  const lines = [
    `${machine.cores} cores, ${machine.cpu_model}, ${Math.round(machine.memory_bytes / 2 ** 30)} GiB, ` +
      `${machine.system}, node ${machine.node}`,
    `disk: 4 KiB written and synced in ${machine.disk_sync_p50_ms.toFixed(2)} ms (p50), ` +
      `${machine.disk_sync_p99_ms.toFixed(2)} ms (p99)`,
  ];
  if (machine.load_before > machine.cores / 2) {
    lines.push(
      `WARNING: the machine is busy (load ${machine.load_before.toFixed(1)}): nothing here is to be trusted`,
    );
  }
  if (machine.disk_is_memory) {
    lines.push('WARNING: the databases are in memory (tmpfs); give a folder on a disk with --dir');
  }
  return lines.join('\n');
}

function measureSyncs(path: string, count: number): Float64Array {
  const block = Buffer.alloc(4096, 7);
  const file = openSync(path, 'w');
  try {
    return Float64Array.from({ length: count }, (_, index) => {
      const startedAtMs = performance.now();
      writeSync(file, block, 0, block.length, index * block.length);
      fdatasyncSync(file);
      return performance.now() - startedAtMs;
    }).sort();
  } finally {
    closeSync(file);
    rmSync(path);
  }
}
