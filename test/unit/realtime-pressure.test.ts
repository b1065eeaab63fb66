import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../src/lib/errors.js';
import { createPressureGate } from '../../src/realtime/pressure.js';

const CAP_BYTES = 256 * 1_024;
const CHUNK = Buffer.alloc(64 * 1_024);
const open: { destroy(): unknown }[] = [];

/** Both ends of a TCP connection whose reader is paused. */
async function pausedConnection(): Promise<{ server: Socket; reader: Socket }> {
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const accepted = once(listener, 'connection');
  const reader = connect(address.port, '127.0.0.1');
  reader.pause();
  const [server] = (await accepted) as [Socket];
  server.on('error', () => {});
  reader.on('error', () => {});
  listener.close();
  open.push(server, reader);
  return { server, reader };
}

function fill(socket: Socket): void {
  while (socket.writableLength <= CAP_BYTES) socket.write(CHUNK);
}

/** Fills until the kernel's buffers are full as well, so that only reading helps. */
async function fillKernel(socket: Socket): Promise<void> {
  let queued = -1;
  while (socket.writableLength !== queued) {
    fill(socket);
    queued = socket.writableLength;
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A clock whose timers fire by hand. */
function manualClock() {
  const tasks = new Set<() => void>();
  return {
    now: () => 0,
    every(_intervalMs: number, task: () => void) {
      tasks.add(task);
      return () => void tasks.delete(task);
    },
    fire() {
      for (const task of [...tasks]) task();
    },
    tasks,
  };
}

afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

describe('pressure gate', () => {
  it('is open without a connection and below the cap', async () => {
    expect(createPressureGate({ capBytes: 0 }).isOpen()).toBe(true);
    const { server } = await pausedConnection();
    expect(createPressureGate({ socket: server, capBytes: CAP_BYTES }).isOpen()).toBe(true);
  });

  it('closes above the cap and opens when the reader reads', async () => {
    const { server, reader } = await pausedConnection();
    await fillKernel(server);
    const gate = createPressureGate({ socket: server, capBytes: CAP_BYTES });
    expect(gate.isOpen()).toBe(false);
    const waiting = gate.wait();
    reader.resume();
    await waiting;
    expect(gate.isOpen()).toBe(true);
  });

  it('never waits for a drain that will not come: a cap below the high-water mark counts as the mark', async () => {
    const { server } = await pausedConnection();
    server.cork();
    server.write(Buffer.alloc(server.writableHighWaterMark - 1));
    expect(createPressureGate({ socket: server, capBytes: 1 }).isOpen()).toBe(true);
  });

  it('stops waiting when the signal aborts or the connection closes', async () => {
    const { server } = await pausedConnection();
    await fillKernel(server);
    const abort = new AbortController();
    const byAbort = createPressureGate({
      socket: server,
      capBytes: CAP_BYTES,
      signal: abort.signal,
    }).wait();
    const byClose = createPressureGate({ socket: server, capBytes: CAP_BYTES }).wait();
    abort.abort();
    await byAbort;
    server.destroy();
    await byClose;
    expect(server.listenerCount('drain')).toBe(0);
  });

  it('gives up a reader without progress, and only that', async () => {
    const { server, reader } = await pausedConnection();
    await fillKernel(server);
    const clock = manualClock();
    const gate = createPressureGate({
      socket: server,
      capBytes: CAP_BYTES,
      stallMs: 30_000,
      clock,
    });
    const waiting = gate.wait();
    clock.fire();
    await expect(waiting).rejects.toBeInstanceOf(DomainError);
    await expect(waiting).rejects.toMatchObject({
      code: 'overloaded',
      details: { limit: 'stream_buffer' },
    });
    expect(server.destroyed).toBe(true);
    expect(clock.tasks.size).toBe(0);
    reader.destroy();
  });

  it('tells the reader why, where that can be done', async () => {
    const { server } = await pausedConnection();
    await fillKernel(server);
    const clock = manualClock();
    const reasons: string[] = [];
    const socket = Object.assign(server, { giveUp: (reason: string) => void reasons.push(reason) });
    const waiting = createPressureGate({ socket, capBytes: CAP_BYTES, clock }).wait();
    clock.fire();
    await expect(waiting).rejects.toBeInstanceOf(DomainError);
    expect(reasons).toEqual(['The reader took nothing for 30000 ms; connect again to go on']);
    expect(server.destroyed).toBe(false);
  });

  it('bears with a reader that is slow but reads', async () => {
    const { server, reader } = await pausedConnection();
    await fillKernel(server);
    const clock = manualClock();
    let settled = false;
    const gate = createPressureGate({ socket: server, capBytes: CAP_BYTES, clock });
    const waiting = gate.wait().finally(() => {
      settled = true;
    });
    const before = server.writableLength;
    while (server.writableLength === before) {
      reader.read();
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (!settled) clock.fire();
    expect(server.destroyed).toBe(false);
    reader.resume();
    await waiting;
  });
});
