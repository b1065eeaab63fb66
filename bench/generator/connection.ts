import { connect, type Socket } from 'node:net';
import type { RequestSource } from './request-source.js';
import { type Reply, ResponseParser } from './response-parser.js';

const RECEIVE_BUFFER_BYTES = 64 * 1024;

export interface ConnectionEvents {
  onReply(connection: Connection, reply: Reply): void;
  onLost(connection: Connection, reason: Error): void;
}

/** One keep-alive connection with at most one request on its way. */
export class Connection {
  /** When the request on its way was sent, or should have been. */
  startedAtMs = 0;
  readonly source: RequestSource;
  readonly #socket: Socket;

  private constructor(port: number, source: RequestSource, events: ConnectionEvents) {
    this.source = source;
    const parser = new ResponseParser((reply) => events.onReply(this, reply));
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(RECEIVE_BUFFER_BYTES),
        callback: (length, buffer) => {
          try {
            parser.feed(buffer as Buffer, length);
          } catch (error) {
            this.#socket.destroy(error as Error);
          }
          return true;
        },
      },
    });
    let reason: Error | null = null;
    this.#socket.on('error', (error) => {
      reason = error;
    });
    this.#socket.on('close', () => {
      events.onLost(this, reason ?? new Error('the server closed a connection'));
    });
  }

  static open(port: number, source: RequestSource, events: ConnectionEvents): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const connection = new Connection(port, source, {
        onReply: events.onReply,
        onLost(lost, reason) {
          reject(reason);
          events.onLost(lost, reason);
        },
      });
      connection.#socket.once('connect', () => resolve(connection));
    });
  }

  send(startedAtMs: number): void {
    this.startedAtMs = startedAtMs;
    this.#socket.write(this.source.next());
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }
}
