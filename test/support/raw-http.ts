import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** An answer as it came over the wire. */
export interface RawAnswer {
  status: number;
  /** By lower-case name. */
  headers: Map<string, string>;
  /** As they were written. */
  names: string[];
  body: string;
}

/** One connection to which a test writes what it likes. */
export interface RawConnection {
  socket: Socket;
  /** Resolves with the next answer; rejects when the connection ends without one. */
  answer(): Promise<RawAnswer>;
  /** Resolves when the server has ended it. */
  ended: Promise<unknown>;
}

export async function openRaw(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/[[\]]/g, '');
  const socket = connect({ host, port: Number(port), noDelay: true });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  const ended = once(socket, 'close');
  let text = '';
  let wake = () => {};
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk;
    wake();
  });
  socket.on('close', () => wake());
  await once(socket, 'connect');

  function take(): RawAnswer | undefined {
    const headEnd = text.indexOf('\r\n\r\n');
    if (headEnd < 0) return undefined;
    const [first = '', ...lines] = text.slice(0, headEnd).split('\r\n');
    const pairs = lines.map((line) => line.split(/: */, 2) as [string, string]);
    const headers = new Map(pairs.map(([name, value]) => [name.toLowerCase(), value]));
    const bodyEnd = headEnd + 4 + Number(headers.get('content-length') ?? 0);
    if (text.length < bodyEnd) return undefined;
    const body = Buffer.from(text.slice(headEnd + 4, bodyEnd), 'latin1').toString('utf8');
    text = text.slice(bodyEnd);
    return { status: Number(first.split(' ')[1]), headers, names: pairs.map(([n]) => n), body };
  }
  return {
    socket,
    ended,
    async answer() {
      for (;;) {
        const taken = take();
        if (taken) return taken;
        if (socket.destroyed) throw new Error('the connection ended without an answer');
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

/** A request as bytes; the length of its body is added. */
export function rawRequest(start: string, headers: readonly string[], body: string): string {
  const length = `content-length: ${Buffer.byteLength(body)}`;
  return `${start} HTTP/1.1\r\n${[...headers, length].join('\r\n')}\r\n\r\n${body}`;
}
