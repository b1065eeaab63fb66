import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface CuttingProxy {
  /** What to use in place of the server's address. */
  url: string;
  /** How many connections it has cut so far. */
  cuts(): number;
  /** Cuts all that are open. */
  cutAll(): void;
}

/**
 * Stands between clients and a server until the test ends, and cuts each connection when the server has sent `budget()`
 * bytes over it, wherever in a message that is; from then on the budget says Infinity, none.
 */
export async function startCuttingProxy(
  target: string,
  budget: () => number,
): Promise<CuttingProxy> {
  const { port } = new URL(target);
  const open = new Set<Socket>();
  let cuts = 0;
  const proxy = createServer((client) => {
    const server = connect(Number(port), '127.0.0.1');
    let left = budget();
    for (const socket of [client, server]) {
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        open.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.pipe(server);
    server.on('data', (chunk: Buffer) => {
      if (chunk.length < left) {
        left -= chunk.length;
        if (!client.write(chunk)) server.pause();
        return;
      }
      cuts += 1;
      client.write(chunk.subarray(0, left), () => client.resetAndDestroy());
      server.destroy();
    });
    client.on('drain', () => server.resume());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  onTestFinished(() => {
    proxy.close();
    for (const socket of open) socket.destroy();
  });
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    cuts: () => cuts,
    cutAll() {
      for (const socket of open) socket.resetAndDestroy();
    },
  };
}
