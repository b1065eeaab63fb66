import { isIPv6 } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import type { TransportListenInfo } from 'mediasoup/types';

export interface ListenOptions {
  /** `0.0.0.0` and `::` are every interface. */
  listenIp: string;
  /** What clients are told instead; empty for the address that is listened on. */
  announcedAddress: string;
}

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

/** Machines with many containers have many addresses; each is a candidate that every client tries. */
const ADDRESS_LIMIT = 8;

/**
 * The sockets of one worker, UDP before TCP. Nobody can be told to send to `0.0.0.0`, so without an announced address
 * each address of the machine gets sockets of its own.
 */
export function listenInfos(
  options: ListenOptions,
  port: number,
  interfaces: Interfaces,
): TransportListenInfo[] {
  const { listenIp, announcedAddress } = options;
  const ips = announcedAddress ? [listenIp] : addressesOf(listenIp, interfaces);
  return ips.flatMap((ip) =>
    (['udp', 'tcp'] as const).map((protocol) => ({
      protocol,
      ip,
      port,
      ...(announcedAddress && { announcedAddress }),
    })),
  );
}

/** Where `from` reaches this machine. */
export function addressFor(from: string, options: ListenOptions, interfaces: Interfaces): string {
  if (options.announcedAddress) return options.announcedAddress;
  const [address = options.listenIp] = addressesOf(options.listenIp, interfaces);
  const loopback = isIPv6(from) ? '::1' : '127.0.0.1';
  return isWildcard(options.listenIp) && from === loopback ? loopback : address;
}

/** The loopback addresses only where there is nothing else: to other machines they would be their own. */
function addressesOf(listenIp: string, interfaces: Interfaces): string[] {
  if (!isWildcard(listenIp)) return [listenIp];
  const reachable = Object.values(interfaces)
    .flatMap((list) => list ?? [])
    .filter(({ family, address }) => family === 'IPv4' || isRoutableIpv6(listenIp, address));
  const external = reachable.filter(({ internal }) => !internal);
  const chosen = external.length > 0 ? external : reachable;
  return chosen.slice(0, ADDRESS_LIMIT).map(({ address }) => address);
}

function isWildcard(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::';
}

/** Link-local ones need the name of an interface, which no candidate carries. */
function isRoutableIpv6(listenIp: string, address: string): boolean {
  return listenIp === '::' && isIPv6(address) && !/^fe[89ab]/i.test(address);
}
