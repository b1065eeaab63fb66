import type { WebSocket } from 'ws';
import type { Clock } from '../lib/clock.js';

/** The open sockets of one door. */
export interface SocketSet {
  readonly isClosing: boolean;
  readonly size: number;
  add(ws: WebSocket): void;
  /** No more are taken; those that are open are to be ended by `end`, and are cut off when they do not go. */
  closeAll(end: (ws: WebSocket) => void): Promise<void>;
}

const CLOSE_GRACE_MS = 1_000;

export function createSocketSet(): SocketSet {
  const sockets = new Set<WebSocket>();
  let isClosing = false;
  return {
    get isClosing() {
      return isClosing;
    },
    get size() {
      return sockets.size;
    },
    add(ws) {
      sockets.add(ws);
      ws.once('close', () => sockets.delete(ws));
    },
    async closeAll(end) {
      isClosing = true;
      const open = [...sockets];
      const closed = open.map(
        (ws) => new Promise<void>((resolve) => ws.once('close', () => resolve())),
      );
      for (const ws of open) end(ws);
      const impatience = setTimeout(() => {
        for (const ws of open) ws.terminate();
      }, CLOSE_GRACE_MS);
      await Promise.all(closed);
      clearTimeout(impatience);
    },
  };
}

/** Ends a connection that is silent even when asked. `onSign` hears of every answer. */
export function keepWatch(
  ws: WebSocket,
  { clock, pingMs, onSign = () => {} }: { clock: Clock; pingMs: number; onSign?: () => void },
): void {
  let isAlive = true;
  ws.on('pong', () => {
    isAlive = true;
    onSign();
  });
  ws.on('message', () => {
    isAlive = true;
  });
  const stop = clock.every(pingMs, () => {
    if (!isAlive) return ws.terminate();
    isAlive = false;
    ws.ping();
  });
  ws.once('close', stop);
}

/** Counts messages in windows of a second; tells the first that is too many from the others. */
export function createMeter(clock: Clock, perSecond: number): () => 'none' | 'first' | 'more' {
  let endMs = 0;
  let count = 0;
  return () => {
    const now = clock.now();
    if (now >= endMs) {
      endMs = now + 1_000;
      count = 0;
    }
    count += 1;
    if (count <= perSecond) return 'none';
    return count === perSecond + 1 ? 'first' : 'more';
  };
}
