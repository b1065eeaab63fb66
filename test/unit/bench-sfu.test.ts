import { describe, expect, it } from 'vitest';
import { RtpGaps } from '../../bench/lib/rtp-gaps.js';
import {
  capacityOf,
  type ForwardingStep,
  lostByWorker,
  microsecondsPerPacket,
  whyFull,
} from '../../bench/lib/sfu-capacity.js';
import { dropsByPort } from '../../bench/lib/udp-drops.js';

function gapsOf(...sequences: number[]): RtpGaps {
  const gaps = new RtpGaps();
  for (const sequence of sequences) gaps.add(sequence);
  return gaps;
}

describe('RtpGaps', () => {
  it('counts what is missing between the first and the highest', () => {
    expect(gapsOf(100, 101, 104)).toMatchObject({ received: 3, expected: 5, lost: 2 });
    expect(gapsOf()).toMatchObject({ received: 0, expected: 0, lost: 0 });
    expect(gapsOf(7)).toMatchObject({ received: 1, expected: 1, lost: 0 });
  });

  it('goes on after 65,535, as often as that comes', () => {
    expect(gapsOf(65_534, 65_535, 0, 2)).toMatchObject({ expected: 5, lost: 1 });
    const gaps = new RtpGaps();
    for (let sequence = 60_000; sequence < 300_000; sequence++) {
      if (sequence !== 131_072) gaps.add(sequence & 0xffff);
    }
    expect(gaps).toMatchObject({ expected: 240_000, lost: 1 });
  });

  it('takes what comes late for no loss', () => {
    expect(gapsOf(10, 12, 11, 13)).toMatchObject({ expected: 4, lost: 0 });
    expect(gapsOf(65_535, 1, 0, 2)).toMatchObject({ expected: 4, lost: 0 });
  });
});

describe('dropsByPort', () => {
  it('reads the last column of /proc/net/udp', () => {
    const table = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  512: 0100007F:AC37 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4242 2 0000000000000000 17
  513: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 4243 2 0000000000000000 0
`;
    expect([...dropsByPort(table)]).toEqual([
      [44_087, 17],
      [68, 0],
    ]);
  });
});

/** 60 packets a second for ten seconds to each stream, 10 us of CPU each. */
function stepOf(streams: number, changes: Partial<ForwardingStep> = {}): ForwardingStep {
  const packets = streams * 600;
  return {
    streams,
    packets_due: packets,
    packets_received: packets,
    packets_lost: 0,
    dropped_at_sink: 0,
    packets_per_second: packets / 10,
    cores: 0.004 + streams * 0.0006,
    waiting: 0,
    sink_cores: 0,
    worker_bytes: 0,
    ...changes,
  };
}

describe('what a core forwards', () => {
  const idle = stepOf(0);

  it('costs so much for each packet', () => {
    expect(microsecondsPerPacket(stepOf(100), idle)).toBeCloseTo(10);
  });

  it('tells what the worker lost from what its receiver could not read', () => {
    const lossy = { packets_lost: 1000, packets_received: 59_000 };
    expect(lostByWorker(stepOf(100, { ...lossy, dropped_at_sink: 900 }))).toBe(100);
    expect(lostByWorker(stepOf(100, { ...lossy, dropped_at_sink: 1001 }))).toBe(0);
    expect(whyFull(stepOf(100, lossy))).toMatchObject({ by_worker: true });
    expect(whyFull(stepOf(100, { ...lossy, dropped_at_sink: 1000 }))).toMatchObject({
      by_worker: false,
    });
  });

  it('ends with one packet in a thousand, a whole core, or packets that come ever later', () => {
    expect(whyFull(idle)).toBeUndefined();
    expect(whyFull(stepOf(100, { packets_lost: 60 }))).toBeUndefined();
    expect(whyFull(stepOf(100, { packets_lost: 61 }))?.by_worker).toBe(true);
    expect(whyFull(stepOf(100, { cores: 0.98 }))?.by_worker).toBe(true);
    expect(whyFull(stepOf(100, { packets_received: 57_000 }))).toBeUndefined();
    expect(whyFull(stepOf(100, { packets_received: 56_999 }))?.by_worker).toBe(true);
  });

  it('does not blame a worker that the machine kept waiting', () => {
    const loss = { packets_lost: 1000, packets_received: 59_000 };
    expect(whyFull(stepOf(100, { ...loss, waiting: 0.1 }))?.by_worker).toBe(true);
    expect(whyFull(stepOf(100, { ...loss, waiting: 0.11 }))).toEqual({
      reason: 'at 100 streams 1000 of 60000 packets were lost, the machine being busy',
      by_worker: false,
    });
  });

  it('is what was reached, where the worker was the limit', () => {
    const full = stepOf(200, { cores: 0.99 });
    expect(capacityOf([idle, stepOf(100), full])).toEqual({
      streams: 100,
      how: 'measured: at 200 streams the core was used up',
    });
    expect(capacityOf([idle, full]).streams).toBe(0);
  });

  it('is reckoned from the last sound step otherwise', () => {
    expect(capacityOf([idle, stepOf(50), stepOf(100)])).toEqual({
      streams: 1660,
      how: 'extrapolated from 100',
    });
    const slowSink = stepOf(200, { packets_lost: 1000, dropped_at_sink: 1000 });
    expect(capacityOf([idle, stepOf(100), slowSink])).toEqual({
      streams: 1660,
      how: 'extrapolated from 100: at 200 streams the receiving process could not follow',
    });
    expect(capacityOf([idle, slowSink]).streams).toBe(1660);
  });
});
