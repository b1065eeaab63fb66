import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import { until } from './until.js';

// biome-ignore lint/suspicious/noExplicitAny: tests compare what comes, whatever it is
type Frame = any;

/** A client of a room, by the documented protocol. */
export interface RoomClient {
  ws: WebSocket;
  /** Everything that came, read. */
  frames: Frame[];
  /** Sends an object as JSON, and a string as it is. */
  say(message: unknown): void;
  /** The first frame of this type that has not been asked for yet, when it has come. */
  next(type: string): Promise<Frame>;
  closed: Promise<{ code: number; reason: string }>;
}

/** Opens the socket until the test ends. @throws with the status and the body when it is refused. */
export async function openRoom(
  url: string,
  roomId: string,
  {
    search = '',
    path = '/ws/',
    ...options
  }: ClientOptions & { search?: string; path?: string } = {},
): Promise<RoomClient> {
  const ws = new WebSocket(`${url.replace('http', 'ws')}${path}${roomId}${search}`, options);
  onTestFinished(() => ws.terminate());
  const frames: Frame[] = [];
  const unread: Frame[] = [];
  ws.on('message', (data) => {
    const frame = JSON.parse(data.toString());
    frames.push(frame);
    unread.push(frame);
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
    say: (message) => ws.send(typeof message === 'string' ? message : JSON.stringify(message)),
    next: (type) =>
      until(`a frame ${type}`, () => {
        const at = unread.findIndex((frame) => frame.type === type);
        return at >= 0 && unread.splice(at, 1)[0];
      }),
    closed,
  };
}

/** The same, joined. Without `userId` the server chooses one. */
export async function joinRoom(
  url: string,
  roomId: string,
  userId?: string,
  options: Parameters<typeof openRoom>[2] = {},
): Promise<RoomClient & { userId: string }> {
  const client = await openRoom(url, roomId, options);
  client.say({ type: 'join', room_id: roomId, user_id: userId });
  const { user_id } = await client.next('join');
  return { ...client, userId: user_id };
}
