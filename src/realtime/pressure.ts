import { type Clock, systemClock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';

/** What the gate needs of the connection underneath; every `net.Socket` has it. */
export interface PressureSocket {
  /** Bytes accepted for sending and not yet taken by the network. */
  readonly writableLength: number;
  /** `drain` comes only after the queue has been above this. */
  readonly writableHighWaterMark: number;
  readonly destroyed: boolean;
  once(event: 'drain' | 'close', listener: () => void): unknown;
  off(event: 'drain' | 'close', listener: () => void): unknown;
  destroy(): unknown;
  /** Tells the reader why and closes once it has taken what waits; whoever does not take it soon is cut off. */
  giveUp?(reason: string): void;
  /** Its door writes events by itself once it is given a `Handover`. */
  readonly takesHandovers?: boolean;
}

export interface PressureOptions {
  /** Absent for in-process calls: the gate is then always open. */
  socket?: PressureSocket | undefined;
  /** The most that may wait to be sent before the reader is made to wait. */
  capBytes: number;
  /** A reader that takes nothing for this long is given up. */
  stallMs?: number | undefined;
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
}

export interface PressureGate {
  /** Whether one more event may be written now. */
  isOpen(): boolean;
  /**
   * Waits until the queue has drained, the connection is gone, or the signal aborts.
   * @throws DomainError `overloaded` after `stallMs` without any progress; the connection is then given up, because
   *   only a lost connection makes a client come back by itself.
   */
  wait(): Promise<void>;
}

/** Keeps a stream from queueing more than `capBytes` (and one event) on a connection whose reader does not read. */
export function createPressureGate(options: PressureOptions): PressureGate {
  const { socket, signal, stallMs = 30_000, clock = systemClock } = options;
  if (!socket) return { isOpen: () => true, wait: async () => {} };
  const capBytes = Math.max(options.capBytes, socket.writableHighWaterMark);
  const isOpen = () => socket.writableLength <= capBytes || socket.destroyed;

  function wait(): Promise<void> {
    const target = socket as PressureSocket;
    return new Promise((resolve, reject) => {
      let lowestBytes = target.writableLength;
      const stopTimer = clock.every(stallMs, () => {
        if (target.writableLength < lowestBytes) {
          lowestBytes = target.writableLength;
          return;
        }
        release();
        const reason = `The reader took nothing for ${stallMs} ms; connect again to go on`;
        if (target.giveUp) target.giveUp(reason);
        else target.destroy();
        reject(new DomainError('overloaded', reason, { limit: 'stream_buffer' }));
      });
      function release(): void {
        stopTimer();
        target.off('drain', go);
        target.off('close', go);
        signal?.removeEventListener('abort', go);
      }
      function go(): void {
        release();
        resolve();
      }
      target.once('drain', go);
      target.once('close', go);
      signal?.addEventListener('abort', go);
      if (isOpen() || signal?.aborted) go();
    });
  }

  return { isOpen, wait };
}
