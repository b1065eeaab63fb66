import { connect, type Socket } from 'node:net';
import type { ViewersAnswer, ViewersQuestion } from '../lib/viewers.js';
import { MARK, nowUs, TIME_DIGITS } from '../servers/broadcast.js';

// Viewers of the fanout suite: plain sockets that count events by the one byte which each has once, so that reading is
// cheaper than writing. Who falls behind reads more at once, which is cheaper still: they are not what is measured.
const MARK_BYTE = MARK.charCodeAt(0);
const READ_BYTES = 65_536;
/** tRPC cuts off who says nothing for long. */
const SAY_EVERY_MS = 10_000;

const open: Socket[] = [];
let count = 0;
let latenciesUs: number[] | undefined;
let saying: NodeJS.Timeout | undefined;

process.on('message', (question: ViewersQuestion) => {
  void answer(question).then((reply) => process.send?.(reply));
});
process.on('SIGTERM', () => process.exit());
process.on('disconnect', () => process.exit());

async function answer(question: ViewersQuestion): Promise<ViewersAnswer> {
  switch (question.ask) {
    case 'open':
      await Promise.all(
        Array.from({ length: question.viewers }, (_, n) =>
          view(question, question.ids === 'each' ? 1_000 + n : 1),
        ),
      );
      if (question.kind === 'trpc-ws') {
        saying = setInterval(() => {
          for (const socket of open) socket.write(masked('PONG'));
        }, SAY_EVERY_MS);
      }
      break;
    case 'count':
      count = 0;
      latenciesUs = question.latencies ? [] : undefined;
      break;
    case 'report':
      break;
    case 'close':
      clearInterval(saying);
      for (const socket of open.splice(0)) socket.destroy();
      break;
  }
  return { count, latencies_us: question.ask === 'report' ? (latenciesUs ?? []) : [] };
}

/** Resolves when the stream has begun. */
function view(
  { port, kind, reads }: Extract<ViewersQuestion, { ask: 'open' }>,
  id: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let head = '';
    const buffer = Buffer.alloc(READ_BYTES);
    const socket = connect({
      ...{ host: '127.0.0.1', port },
      onread: {
        buffer,
        callback(bytes) {
          if (head !== BEGUN) begin(buffer.toString('latin1', 0, bytes));
          else take(buffer, bytes);
          return true;
        },
      },
    });
    function begin(text: string): void {
      const before = head;
      head += text;
      const upgraded = '\r\n\r\n';
      if (kind === 'trpc-ws' && !before.includes(upgraded) && head.includes(upgraded)) {
        const call = { id, method: 'subscription', params: { path: 'events' } };
        socket.write(masked(JSON.stringify(call)));
      }
      if (!head.includes(BEGINNINGS[kind])) return;
      head = BEGUN;
      if (!reads) socket.pause();
      resolve();
    }
    open.push(socket);
    socket.once('error', reject);
    socket.write(requestOf(kind));
  });
}

const BEGUN = 'begun';
const BEGINNINGS = {
  ws: '\r\n\r\n',
  'trpc-ws': '"type":"start"',
  sse: '\nid: ',
  'trpc-sse': '"type":"start"',
} as const;

function take(buffer: Buffer, bytes: number): void {
  for (let at = markAfter(0); at >= 0; at = markAfter(at + 1)) {
    count += 1;
    if (latenciesUs === undefined || at + TIME_DIGITS >= bytes) continue;
    latenciesUs.push(nowUs() - Number(buffer.toString('latin1', at + 1, at + 1 + TIME_DIGITS)));
  }
  /** What is behind `bytes` is of an earlier read. */
  function markAfter(from: number): number {
    const at = buffer.indexOf(MARK_BYTE, from);
    return at < bytes ? at : -1;
  }
}

function requestOf(kind: keyof typeof BEGINNINGS): string {
  const isSocket = kind === 'ws' || kind === 'trpc-ws';
  const path = { ws: '/', 'trpc-ws': '/trpc', sse: '/events', 'trpc-sse': '/trpc/events' }[kind];
  const upgrade =
    'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';
  const rest = isSocket ? upgrade : 'accept: text/event-stream\r\n';
  return `GET ${path} HTTP/1.1\r\nhost: x\r\n${rest}\r\n`;
}

/** A short text as a frame of a client, whose mask is none. */
function masked(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}
