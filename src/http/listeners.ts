import { readFile } from 'node:fs/promises';
import type { Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net';
import tls from 'node:tls';
import type { Listener, ListenerApi } from '../config.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import type { Arrivals } from './arrivals.js';

/** The further addresses of a server: `server.listeners`. */
export interface Listeners {
  /** Opens them in order. @throws what the first one that cannot be opened says, with `port`. */
  open(): Promise<FurtherAddress[]>;
  /**
   * Opens one more address for everything, if this machine has it. @throws as `open`, but not when there is no such
   * address, as on a machine without IPv6.
   */
  openIfThere(host: string, port: number): Promise<void>;
  /** Takes no more connections, and resolves when the last one has ended. */
  close(): Promise<void>;
  /** Ends the connections that are left. */
  cutOff(): void;
}

export interface FurtherAddress {
  /** Such as `https://0.0.0.0:8443`. */
  url: string;
  /** Null is everything. */
  api: ListenerApi | null;
}

export interface ListenersOptions {
  listeners: readonly Listener[];
  /** Serves the connections; it need not listen itself. */
  server: HttpServer;
  arrivals: Arrivals;
  certificates: Certificates;
  handshakeLimitMs: number;
  clock: Clock;
  log: Logger;
}

export interface Certificate {
  cert: Buffer;
  key: Buffer;
}
/** The certificates of those listeners that have TLS. */
export type Certificates = ReadonlyMap<Listener, Certificate>;

/** How soon a renewed certificate is in use. */
const REREAD_MS = 60_000;

/** Reads every certificate and tries it. @throws Error with everything that is wrong, one a line. */
export async function readCertificates(listeners: readonly Listener[]): Promise<Certificates> {
  const certificates = new Map<Listener, Certificate>();
  const problems: string[] = [];
  for (const [index, listener] of listeners.entries()) {
    if (!listener.tls) continue;
    try {
      certificates.set(listener, await readCertificate(listener.tls));
    } catch (error) {
      problems.push(`server.listeners, entry ${index + 1}: ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return certificates;
}

/**
 * Each hands its connections to the one HTTP server, with whose time limits, routes and WebSockets they are served as those
 * of its own. Certificates are read again every minute.
 */
export function createListeners(options: ListenersOptions): Listeners {
  const { listeners, server, arrivals, certificates, handshakeLimitMs, clock, log } = options;
  const connections = new Set<Socket>();
  const stops: (() => void)[] = [];
  const doors = listeners.map((listener) => ({ listener, door: makeDoor(listener) }));
  const toClose = doors.map(({ door }) => door);

  function makeDoor(listener: Listener): Server {
    const certificate = certificates.get(listener);
    const serve = (connection: Socket) => {
      if (listener.api !== null) arrivals.bind(connection, listener.api);
      server.emit('connection', connection);
    };
    const door = certificate
      ? secureDoor(certificate, serve)
      : createServer({ allowHalfOpen: true, noDelay: true }, serve);
    door.on('connection', (connection: Socket) => {
      connections.add(connection);
      connection.once('close', () => connections.delete(connection));
    });
    return door;
  }

  function secureDoor(certificate: Certificate, serve: (connection: Socket) => void): tls.Server {
    const door = tls.createServer(
      {
        ...certificate,
        ALPNProtocols: ['http/1.1'],
        handshakeTimeout: handshakeLimitMs,
        noDelay: true,
      },
      serve,
    );
    door.on('tlsClientError', ({ code }: NodeJS.ErrnoException, connection) => {
      log.debug({ code }, 'a TLS handshake failed');
      connection.destroy();
    });
    return door;
  }

  /** Puts the certificate in use that the files hold now; one that is no good leaves the old one. */
  async function renew(listener: Listener, door: tls.Server, used: Certificate): Promise<void> {
    if (!listener.tls) return;
    try {
      const found = await readCertificate(listener.tls);
      if (found.cert.equals(used.cert) && found.key.equals(used.key)) return;
      door.setSecureContext(found);
      Object.assign(used, found);
      log.info({ cert: listener.tls.cert }, 'a new certificate is in use');
    } catch (error) {
      log.warn(`The certificate in use stays: ${(error as Error).message}`);
    }
  }

  async function open(): Promise<FurtherAddress[]> {
    const addresses: FurtherAddress[] = [];
    for (const { listener, door } of doors) {
      await listen(door, listener);
      const { address, port } = door.address() as AddressInfo;
      const host = isIPv6(address) ? `[${address}]` : address;
      const scheme = listener.tls ? 'https' : 'http';
      addresses.push({ url: `${scheme}://${host}:${port}`, api: listener.api });
      const certificate = certificates.get(listener);
      if (!certificate) continue;
      const used = { ...certificate };
      stops.push(clock.every(REREAD_MS, () => void renew(listener, door as tls.Server, used)));
    }
    return addresses;
  }

  return {
    open,
    async openIfThere(host, port) {
      const listener: Listener = { host, port, api: null, tls: null };
      const door = makeDoor(listener);
      try {
        await listen(door, listener);
        toClose.push(door);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EADDRNOTAVAIL' && code !== 'EAFNOSUPPORT') throw error;
      }
    },
    async close() {
      for (const stop of stops.splice(0)) stop();
      // The error of one that does not listen says just that.
      const closed = toClose.map(
        (door) => new Promise<void>((resolve) => door.close(() => resolve())),
      );
      await Promise.all(closed);
    },
    cutOff() {
      for (const connection of connections) connection.destroy();
    },
  };
}

function listen(door: Server, { host, port }: Listener): Promise<void> {
  return new Promise((resolve, reject) => {
    door.once('error', reject);
    door.listen({ host, port }, () => {
      door.off('error', reject);
      resolve();
    });
  });
}

async function readCertificate(files: { cert: string; key: string }): Promise<Certificate> {
  const [cert, key] = await Promise.all([readPem(files.cert), readPem(files.key)]);
  try {
    tls.createSecureContext({ cert, key });
  } catch (error) {
    const reason = (error as Error).message;
    throw new Error(`${files.cert} and ${files.key} are no certificate and its key: ${reason}`);
  }
  return { cert, key };
}

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const hint = 'there is no such file; fleetwire cert --dev makes a pair to try things out';
    throw new Error(`${path}: ${code === 'ENOENT' ? hint : message}`);
  }
}
