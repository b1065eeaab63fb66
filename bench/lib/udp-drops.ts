import { readFileSync } from 'node:fs';

/**
 * Packets that the kernel threw away because a socket's buffer was full, by the socket's local port, in the text of
 * /proc/net/udp.
 */
export function dropsByPort(table: string): Map<number, number> {
  const drops = new Map<number, number>();
  for (const line of table.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields.length < 13) continue;
    const port = Number.parseInt(fields[1]!.split(':')[1]!, 16);
    drops.set(port, (drops.get(port) ?? 0) + Number(fields.at(-1)));
  }
  return drops;
}

/** Of all these ports, up to now; null where there is no /proc. */
export function kernelDrops(ports: readonly number[]): number | null {
  try {
    const drops = dropsByPort(readFileSync('/proc/net/udp', 'utf8'));
    return ports.reduce((sum, port) => sum + (drops.get(port) ?? 0), 0);
  } catch {
    return null;
  }
}
