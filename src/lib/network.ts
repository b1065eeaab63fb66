import { isIPv6 } from 'node:net';

/**
 * What one caller can call from: an IPv4 address, or a whole /64 of IPv6, which one host has. All whose connection has no
 * address, such as one that is gone already, count as one.
 */
export function networkOf(ip: string | null | undefined): string {
  if (ip === undefined || ip === null) return '';
  if (!ip.includes(':') || !isIPv6(ip) || ip.startsWith('::ffff:')) return ip;
  const [head = '', tail] = ip.split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array(8 - first.length - last.length).fill('0');
  const groups = [...first, ...zeros, ...last].slice(0, 4);
  return groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}
