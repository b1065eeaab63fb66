import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import { until } from './until.js';

/** A robot at its WebSocket for commands. */
export interface RobotSocket {
  ws: WebSocket;
  /** Everything that came, read. */
  // biome-ignore lint/suspicious/noExplicitAny: tests compare what comes, whatever it is
  frames: any[];
  /** Resolves when so many have come. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  reach(count: number): Promise<any[]>;
  /** Sends an object as JSON, and a string as it is. */
  say(message: unknown): void;
  closed: Promise<{ code: number; reason: string }>;
}

/** Opens the socket until the test ends. @throws with the HTTP status when it is refused. */
export async function openRobot(
  url: string,
  robotId: string,
  token: string | null,
  {
    search = '',
    onFrame,
    ...options
  }: ClientOptions & {
    search?: string;
    /** Told of every frame; a listener that is added later may miss what came with the handshake. */
    // biome-ignore lint/suspicious/noExplicitAny: as above
    onFrame?: (frame: any, socket: Pick<RobotSocket, 'ws' | 'say'>) => void;
  } = {},
): Promise<RobotSocket> {
  const address = `${url.replace('http', 'ws')}/api/v1/robots/${encodeURIComponent(robotId)}/commands`;
  const ws = new WebSocket(`${address}${search}`, {
    ...options,
    headers: { ...(token !== null && { authorization: `Bearer ${token}` }), ...options.headers },
  });
  onTestFinished(() => ws.terminate());
  const frames: unknown[] = [];
  const say = (message: unknown) =>
    ws.send(typeof message === 'string' ? message : JSON.stringify(message));
  ws.on('message', (data) => {
    const frame = JSON.parse(data.toString());
    frames.push(frame);
    onFrame?.(frame, { ws, say });
  });
  const closed = once(ws, 'close').then(([code, reason]) => ({ code, reason: `${reason}` }));
  closed.catch(() => {});
  await new Promise<void>((resolve, reject) => {
    ws.once('open', resolve);
    ws.once('unexpected-response', (_request, response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () => reject(new Error(`${response.statusCode} ${text}`)));
    });
    ws.once('error', reject);
  });
  ws.on('error', () => {});
  return {
    ws,
    frames,
    async reach(count) {
      await until(`${count} frames`, () => frames.length >= count);
      return frames;
    },
    say,
    closed,
  };
}
