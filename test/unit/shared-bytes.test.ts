import { describe, expect, it } from 'vitest';
import { StreamEvent } from '../../src/realtime/event.js';
import { createSharedBytes } from '../../src/realtime/shared-bytes.js';

const event = (version: number) => new StreamEvent({ payload: { n: version }, version });

function start() {
  let made = 0;
  const bytes = createSharedBytes((events, form) => {
    made += 1;
    return Buffer.from(`${form}: ${events.map(({ version }) => version).join(' ')}`);
  });
  return { bytes, made: () => made };
}

describe('shared bytes', () => {
  it('are made once for the same events in the same form, whichever list they are in', () => {
    const { bytes, made } = start();
    const [a, b] = [event(1), event(2)];
    const first = bytes([a, b], 'f');
    expect(first.toString()).toBe('f: 1 2');
    expect(bytes([a, b], 'f')).toBe(first);
    expect(made()).toBe(1);
  });

  it('are different for other events and other forms', () => {
    const { bytes } = start();
    const [a, b, c] = [event(1), event(2), event(3)];
    expect(bytes([a, b], 'f').toString()).toBe('f: 1 2');
    expect(bytes([a], 'f').toString()).toBe('f: 1');
    expect(bytes([a, c], 'f').toString()).toBe('f: 1 3');
    expect(bytes([a, b], 'g').toString()).toBe('g: 1 2');
    expect(bytes([a, b], 'f').toString()).toBe('f: 1 2');
    expect(bytes([b], 'f').toString()).toBe('f: 2');
    expect(bytes([], 'f').toString()).toBe('');
  });
});
