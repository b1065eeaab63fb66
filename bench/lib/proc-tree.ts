import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** User and system ticks in the text of /proc/<pid>/stat; the command's name in it may hold spaces and brackets. */
export function ticksOfStat(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

/** CPU time in microseconds of a process and its living descendants; null where there is no /proc. */
export function cpuMicroseconds(pid: number): number | null {
  try {
    const ticks = treeOf(pid)
      .map((member) => ticksOfStat(readFileSync(`/proc/${member}/stat`, 'utf8')))
      .reduce((sum, own) => sum + own, 0);
    return (ticks / ticksPerSecond()) * 1e6;
  } catch {
    return null;
  }
}

/** Time in microseconds that the main thread of a process waited for a core to run on; null where there is no telling. */
export function waitedMicroseconds(pid: number): number | null {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1000;
  } catch {
    return null;
  }
}

/** Resident memory in bytes of a process and its living descendants; null where there is no /proc. */
export function residentBytes(pid: number): number | null {
  try {
    return treeOf(pid)
      .map((member) => /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${member}/status`, 'utf8')))
      .reduce((sum, match) => sum + Number(match?.[1] ?? 0) * 1024, 0);
  } catch {
    return null;
  }
}

function treeOf(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' '))
    .filter((text) => text !== '')
    .map(Number);
  return [pid, ...children.flatMap(treeOf)];
}

let knownTicksPerSecond: number | null = null;

function ticksPerSecond(): number {
  knownTicksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return knownTicksPerSecond;
}
