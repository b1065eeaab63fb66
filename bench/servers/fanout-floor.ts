import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { serveBroadcasts } from './broadcast.js';

// The floor: `ws` alone, each event made to bytes once and handed to every socket.
const sockets = new Set<Socket>();
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('connection', (_ws, { socket }) => {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
});
server.once('listening', () => {
  const { port } = server.address() as AddressInfo;
  let id = 1_000_000_000;
  serveBroadcasts(port, sockets, (data) => {
    id += 1;
    const cursor = String(id);
    const message = { id: 1, result: { type: 'data', data: { id: cursor, data }, id: cursor } };
    const bytes = Buffer.from(JSON.stringify(message));
    for (const ws of server.clients) ws.send(bytes, { binary: false });
  });
});
