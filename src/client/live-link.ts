import {
  createWSClient,
  TRPCClientError,
  type TRPCLink,
  type TRPCWebSocketClient,
  type WebSocketClientOptions,
  wsLink,
} from '@trpc/client';
import { observable, type Unsubscribable } from '@trpc/server/observable';
import type { AppRouter } from '../routers/index.js';
import { backOffMs } from './urls.js';

/** The standard's WebSocket, or a class that works like it (`ws`). */
export type WebSocketClass = new (url: string) => { readonly readyState: number; close(): void };

export interface LiveLinkOptions {
  url: string;
  readToken: () => Promise<string | undefined>;
  WebSocket?: WebSocketClass | undefined;
}

export interface LiveLink {
  link: TRPCLink<AppRouter>;
  close: () => Promise<void>;
}

/** How long the connection stays when the last subscription has ended. */
const IDLE_CLOSE_MS = 5_000;

/** The terminating link for subscriptions. Nothing is loaded or connected before the first one. */
export function createLiveLink(options: LiveLinkOptions): LiveLink {
  let opening: Promise<TRPCWebSocketClient> | undefined;
  let closed = false;

  async function open(): Promise<TRPCWebSocketClient> {
    const implementation = options.WebSocket ?? (await findWebSocket());
    if (closed) throw new Error('This client has been closed');
    return createWSClient({
      url: options.url,
      WebSocket: implementation as unknown as NonNullable<WebSocketClientOptions['WebSocket']>,
      connectionParams: async () => {
        const token = await options.readToken();
        return token === undefined ? {} : { token };
      },
      retryDelayMs: (attempt) => backOffMs(attempt),
      lazy: { enabled: true, closeMs: IDLE_CLOSE_MS },
      keepAlive: { enabled: true, intervalMs: 20_000, pongTimeoutMs: 10_000 },
    });
  }

  function shared(): Promise<TRPCWebSocketClient> {
    opening ??= open();
    return opening;
  }

  const link: TRPCLink<AppRouter> = (runtime) => (operation) =>
    observable((observer) => {
      let inner: Unsubscribable | undefined;
      let stopped = false;
      shared().then(
        (client) => {
          if (!stopped)
            inner = wsLink<AppRouter>({ client })(runtime)(operation).subscribe(observer);
        },
        (error: unknown) => observer.error(TRPCClientError.from(error as Error)),
      );
      return () => {
        stopped = true;
        inner?.unsubscribe();
      };
    });

  async function close(): Promise<void> {
    closed = true;
    const client = await opening?.catch(() => undefined);
    await client?.close();
    // What is subscribed from now on is refused rather than connected anew.
    opening = Promise.reject(new Error('This client has been closed'));
    opening.catch(() => {});
  }

  return { link, close };
}

async function findWebSocket(): Promise<WebSocketClass> {
  const own = (globalThis as { WebSocket?: WebSocketClass }).WebSocket;
  if (own) return own;
  try {
    return (await import('ws')).WebSocket;
  } catch (cause) {
    throw new Error(
      'This runtime has no WebSocket: install the package "ws", or pass a class as the option WebSocket of createFleetClient',
      { cause },
    );
  }
}
