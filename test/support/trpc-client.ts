import {
  createTRPCClient,
  createWSClient,
  httpBatchLink,
  splitLink,
  TRPCClientError,
  wsLink,
} from '@trpc/client';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import type { AppRouter } from '../../src/routers/index.js';
import type { TestApp } from './app.js';

/** The library's own client, over HTTP and a WebSocket, until the test ends. */
export function connect({ url }: Pick<TestApp, 'url'>, token?: string) {
  const sockets = createWSClient({
    url: `${url.replace('http', 'ws')}/trpc`,
    WebSocket: WebSocket as never,
    connectionParams: token === undefined ? null : { token },
    lazy: { enabled: true, closeMs: 0 },
  });
  onTestFinished(() => sockets.close());
  return createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: ({ type }) => type === 'subscription',
        true: wsLink({ client: sockets }),
        false: httpBatchLink({
          url: `${url}/trpc`,
          headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        }),
      }),
    ],
  });
}
export type TrpcClient = ReturnType<typeof connect>;

/** What an operation answered, whichever door it was called through. */
export interface Reply {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests compare answers, whatever they are
  data?: any;
  error?: string;
}

/** The answer of a tRPC call in the terms of HTTP. */
export async function replyOf(call: Promise<unknown>): Promise<Reply> {
  try {
    return { status: 200, data: await call };
  } catch (error) {
    if (!(error instanceof TRPCClientError)) throw error;
    return { status: error.data?.httpStatus, error: error.message };
  }
}
