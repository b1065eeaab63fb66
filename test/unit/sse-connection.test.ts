import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/lib/clock.js';
import { createPressureGate } from '../../src/realtime/pressure.js';
import { openConnection, textOf } from '../../src/rest-adapter/sse-connection.js';

it('writes a message of an event stream so that no text of it can be taken for another line', () => {
  expect(textOf({})).toBe('');
  expect(textOf({ id: '7' })).toBe('id: 7\n\n');
  expect(textOf({ retry: 1_000 })).toBe('retry: 1000\n\n');
  expect(textOf({ data: '' })).toBe('data: \n\n');
  expect(textOf({ id: '7', event: 'reset', data: '{}' })).toBe('id: 7\nevent: reset\ndata: {}\n\n');
  expect(textOf({ data: 'a\nid: 9\r\n\rb\n' })).toBe(
    'data: a\ndata: id: 9\ndata: \ndata: b\ndata: \n\n',
  );
});

it('drains when what is on the connection and what is still corked are too much together alone', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').resume();
  onTestFinished(() => {
    client.destroy();
    server.close();
  });
  const asked = once(server, 'request');
  client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  const response: ServerResponse = (await asked)[1];
  const socket = response.socket!;
  const connection = openConnection(response, socket, systemClock);
  const markBytes = socket.writableHighWaterMark;
  const data = 'x'.repeat(Math.ceil(0.6 * markBytes));
  const gate = createPressureGate({ socket: connection.socket, capBytes: 0 });

  connection.begin({}, 1_000);
  socket.cork();
  connection.write({ data });
  await new Promise((resolve) => setImmediate(resolve));
  expect(socket.writableLength).toBeLessThan(markBytes);
  expect(gate.isOpen()).toBe(true);
  connection.write({ data });
  expect(socket.writableLength).toBeLessThan(markBytes);
  expect(gate.isOpen()).toBe(false);
  const drained = gate.wait();
  await new Promise((resolve) => setImmediate(resolve));
  socket.uncork();
  await drained;
  expect(gate.isOpen()).toBe(true);
});
