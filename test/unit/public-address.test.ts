import { describe, expect, it } from 'vitest';
import { isPublicAddress } from '../../src/lib/public-address.js';

describe('public addresses', () => {
  it.each(['1.1.1.1', '93.184.216.34', '172.15.0.1', '172.32.0.1', '192.167.255.255', '223.1.2.3'])(
    'takes %s',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );
  it.each(['2606:4700::1111', '2a00:1450:4001::200e', '2001:4860:4860::8888'])(
    'takes %s',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );
  it.each([
    ...['0.0.0.0', '10.0.0.1', '100.64.0.1', '127.0.0.1', '127.255.255.254', '169.254.169.254'],
    ...['172.16.0.1', '172.31.255.255', '192.168.1.1', '192.0.2.1', '198.18.0.1', '198.51.100.7'],
    ...['203.0.113.9', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
  ])('refuses %s', (address) => expect(isPublicAddress(address)).toBe(false));
  it.each([
    ...['::', '::1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '64:ff9b::7f00:1', 'fe80::1', 'fc00::1'],
    ...['fd12::1', 'fec0::1', 'ff02::1', '2001::1', '2001:db8::1', '2002:7f00:1::', '3fff::1'],
    'fe80::1%eth0',
  ])('refuses %s', (address) => expect(isPublicAddress(address)).toBe(false));
  it.each(['', 'localhost', '1.1.1', '01.1.1.1', 'example.com'])('refuses %j', (text) =>
    expect(isPublicAddress(text)).toBe(false),
  );
});
