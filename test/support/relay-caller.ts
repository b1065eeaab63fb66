import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import { until } from './until.js';

/** One of the two in a call, at the relay. */
export interface RelayCaller {
  ws: WebSocket;
  /** What it was told to be. */
  clientId: string;
  /** Every frame since then, as it came. */
  frames: { text: string; isBinary: boolean }[];
  /** Resolves with the texts of all frames when so many have come. */
  reach(count: number): Promise<string[]>;
  closed: Promise<{ code: number; reason: string }>;
}

export interface CallerOptions extends ClientOptions {
  protocols?: string[];
}

/**
 * Connects until the test ends, and waits for its id.
 * @throws with the HTTP status when it is refused, and with the code when it is closed instead.
 */
export async function openCaller(
  url: string,
  { protocols, ...options }: CallerOptions = {},
): Promise<RelayCaller> {
  const ws = new WebSocket(url.replace(/^http/, 'ws'), protocols ?? [], options);
  onTestFinished(() => ws.terminate());
  const frames: { text: string; isBinary: boolean }[] = [];
  ws.on('message', (data, isBinary) => void frames.push({ text: data.toString(), isBinary }));
  const closed = once(ws, 'close').then(([code, reason]) => ({ code, reason: `${reason}` }));
  closed.catch(() => {});
  await new Promise<void>((resolve, reject) => {
    ws.once('message', () => resolve());
    ws.once('unexpected-response', (_request, response) => {
      response.resume();
      reject(new Error(`refused: ${response.statusCode}`));
    });
    ws.once('close', (code, reason) => reject(new Error(`closed: ${code} ${reason}`)));
    ws.once('error', reject);
  });
  ws.on('error', () => {});
  const hello = frames.shift();
  const { type, data } = JSON.parse(hello?.text ?? '{}');
  if (type !== 'client_id') throw new Error(`It was greeted with ${hello?.text}`);
  return {
    ws,
    clientId: data,
    frames,
    async reach(count) {
      await until(`${count} frames`, () => frames.length >= count);
      return frames.map(({ text }) => text);
    },
    closed,
  };
}
