import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';

/** Stands between clients and a UDP port of this machine until the test ends; while it is cut, nothing passes. */
export async function startUdpProxy(target: number) {
  const sockets: Socket[] = [];
  const backs = new Map<number, Promise<Socket>>();
  let isCut = false;

  async function openSocket(): Promise<Socket> {
    const socket = createSocket('udp4');
    sockets.push(socket);
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return socket;
  }

  async function openBack(clientPort: number): Promise<Socket> {
    const back = await openSocket();
    back.on('message', (packet) => {
      if (!isCut) front.send(packet, clientPort, '127.0.0.1');
    });
    return back;
  }

  const front = await openSocket();
  front.on('message', async (packet, { port }) => {
    const opening = backs.get(port) ?? openBack(port);
    backs.set(port, opening);
    const back = await opening;
    if (!isCut) back.send(packet, target, '127.0.0.1');
  });
  onTestFinished(() => {
    isCut = true;
    for (const socket of sockets) socket.close();
  });
  return {
    port: front.address().port,
    cut(on: boolean) {
      isCut = on;
    },
  };
}
