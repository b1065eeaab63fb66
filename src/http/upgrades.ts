import { EventEmitter } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';

/** The WebSockets of a server, by their paths. */
export interface Upgrades {
  /** From now on WebSockets to `path` are taken, until `isClosing`. */
  at(path: string | RegExp, isClosing: () => boolean): UpgradePath;
}

export interface UpgradePath {
  /** What the WebSocket plugin needs of a server: its `upgrade` events, of this path alone. */
  server: Server;
  /** The connection is a WebSocket now, and watched as such. */
  established(connection: Duplex): void;
}

interface Door {
  takes(path: string | undefined): boolean;
  isClosing(): boolean;
  upgrades: EventEmitter;
}

/** A connection that upgrades is watched by no timeout of the HTTP server any more, so it is given this long. */
const HANDSHAKE_LIMIT_MS = 5_000;
const HOP_HEADERS = new Set(['connection', 'upgrade', 'http2-settings']);

/**
 * Sorts what asks for an upgrade: WebSockets to a path that takes them go on, to any other they are refused at once.
 * Anything else, such as the HTTP/2 that Java's client and `curl --http2` offer with every request, is served as if it
 * had not asked. `receive` sees every request for a WebSocket before its path is read. Call it once a server.
 */
export function createUpgrades(
  app: FastifyInstance,
  receive: (request: IncomingMessage) => void = () => {},
): Upgrades {
  const doors: Door[] = [];
  const pending = new Map<Duplex, NodeJS.Timeout>();

  function established(connection: Duplex): void {
    clearTimeout(pending.get(connection));
    pending.delete(connection);
  }
  app.server.on('upgrade', (req: IncomingMessage, connection: Duplex, head: Buffer) => {
    if (req.headers.upgrade?.toLowerCase() !== 'websocket') {
      connection.unshift(Buffer.concat([plainHead(req), head]));
      app.server.emit('connection', connection);
      return;
    }
    connection.on('error', () => connection.destroy());
    receive(req);
    const path = req.url?.split('?')[0];
    const door = doors.find(({ takes }) => takes(path));
    if (!door) return refuse(connection, '404 Not Found');
    if (door.isClosing()) return refuse(connection, '503 Service Unavailable');
    const timer = setTimeout(() => connection.destroy(), HANDSHAKE_LIMIT_MS);
    pending.set(connection, timer.unref());
    connection.once('close', () => established(connection));
    door.upgrades.emit('upgrade', req, connection, head);
  });
  return {
    at(path, isClosing) {
      const upgrades = new EventEmitter();
      const takes = (asked = '') => (typeof path === 'string' ? asked === path : path.test(asked));
      doors.push({ takes, isClosing, upgrades });
      return { server: upgrades as Server, established };
    },
  };
}

/** The head of the request as it came, without the wish for another protocol. */
function plainHead({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (!HOP_HEADERS.has(name.toLowerCase())) lines.push(`${name}: ${rawHeaders[at + 1]}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

function refuse(connection: Duplex, status: string): void {
  connection.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () =>
    connection.destroy(),
  );
}
