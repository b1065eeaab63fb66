import type { NetworkInterfaceInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { addressFor, listenInfos } from '../../src/media/mediasoup/listen.js';

function address(ip: string, internal = false): NetworkInterfaceInfo {
  const family = ip.includes(':') ? 'IPv6' : 'IPv4';
  return {
    address: ip,
    family,
    internal,
    netmask: '',
    mac: '',
    cidr: null,
  } as NetworkInterfaceInfo;
}
const LOOPBACK = [address('127.0.0.1', true), address('::1', true)];
const MACHINE = {
  lo: LOOPBACK,
  eth0: [address('192.0.2.2'), address('2001:db8::2'), address('fe80::2')],
  wlan0: [address('198.51.100.2')],
  down: undefined,
};

function ips(
  listenIp: string,
  announcedAddress = '',
  interfaces: NodeJS.Dict<NetworkInterfaceInfo[]> = MACHINE,
) {
  return listenInfos({ listenIp, announcedAddress }, 44_444, interfaces).map(
    ({ protocol, ip }) => `${protocol} ${ip}`,
  );
}

describe('the sockets of a worker', () => {
  it('are at every address that others can reach, UDP first', () => {
    expect(ips('0.0.0.0')).toEqual([
      'udp 192.0.2.2',
      'tcp 192.0.2.2',
      'udp 198.51.100.2',
      'tcp 198.51.100.2',
    ]);
    expect(ips('::')).toContain('udp 2001:db8::2');
    expect(ips('::').join()).not.toContain('fe80');
  });

  it('are at the loopback address where there is no other', () => {
    expect(ips('0.0.0.0', '', { lo: LOOPBACK })).toEqual(['udp 127.0.0.1', 'tcp 127.0.0.1']);
  });

  it('are no more than clients can try', () => {
    const many = Array.from({ length: 40 }, (_, index) => address(`10.0.0.${index}`));
    expect(ips('0.0.0.0', '', { docker: many })).toHaveLength(16);
  });

  it('are at the one address that was given, and announced as another', () => {
    expect(ips('192.0.2.2')).toEqual(['udp 192.0.2.2', 'tcp 192.0.2.2']);
    const options = { listenIp: '0.0.0.0', announcedAddress: 'fleet.example.com' };
    expect(listenInfos(options, 44_445, MACHINE)).toEqual([
      { protocol: 'udp', ip: '0.0.0.0', port: 44_445, announcedAddress: 'fleet.example.com' },
      { protocol: 'tcp', ip: '0.0.0.0', port: 44_445, announcedAddress: 'fleet.example.com' },
    ]);
  });
});

describe('what a robot is told to send to', () => {
  it.each([
    ['203.0.113.5', '0.0.0.0', '', '192.0.2.2'],
    ['127.0.0.1', '0.0.0.0', '', '127.0.0.1'],
    ['127.0.0.1', '192.0.2.2', '', '192.0.2.2'],
    ['203.0.113.5', '0.0.0.0', 'fleet.example.com', 'fleet.example.com'],
  ])(
    'from %s, when listening on %s announced as "%s", is %s',
    (from, listenIp, announced, told) => {
      expect(addressFor(from, { listenIp, announcedAddress: announced }, MACHINE)).toBe(told);
    },
  );
});
