import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { Clock } from '../lib/clock.js';
import type { PressureSocket } from '../realtime/pressure.js';

/** RFC 6455 registry: try again later. */
const CLOSE_TRY_AGAIN = 1_013;
const GIVE_UP_MS = 5_000;

/** What streams see of a WebSocket: its connection, and a way to end it that tells why and makes clients come back. */
export function pressureOf(
  ws: WebSocket,
  connection: Socket,
  clock: Clock,
  takesHandovers = false,
): PressureSocket {
  return {
    takesHandovers,
    get writableLength() {
      return connection.writableLength;
    },
    get writableHighWaterMark() {
      return connection.writableHighWaterMark;
    },
    get destroyed() {
      return connection.destroyed;
    },
    once: (event, listener) => connection.once(event, listener),
    off: (event, listener) => connection.off(event, listener),
    destroy: () => connection.destroy(),
    giveUp(reason) {
      if (ws.readyState !== ws.OPEN) return;
      // Stands behind what is queued; who does not take that does not learn why.
      ws.close(CLOSE_TRY_AGAIN, reason);
      const stop = clock.every(GIVE_UP_MS, () => ws.terminate());
      connection.once('close', stop);
    },
  };
}
