import type { Server } from 'node:http';

/** Puts a listener of `server` before the only one that is there, which it may pass things on to. */
export function inFront<Listener extends (...args: never[]) => void>(
  server: Server,
  event: 'request' | 'connection',
  wrap: (next: Listener) => Listener,
): void {
  const [own, ...others] = server.listeners(event) as Listener[];
  if (!own || others.length > 0) throw new Error(`The server has not one listener of "${event}"`);
  server.removeListener(event, own as () => void);
  server.on(event, wrap(own.bind(server) as Listener) as () => void);
}
