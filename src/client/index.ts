import {
  createTRPCClient,
  httpBatchLink,
  splitLink,
  type TRPCClient,
  type TRPCClientError,
} from '@trpc/client';
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';
import type { AppRouter } from '../routers/index.js';
import { createLiveLink, type WebSocketClass } from './live-link.js';
import { endpoints } from './urls.js';

export { isTRPCClientError, TRPCClientError } from '@trpc/client';
export {
  geometryOf,
  type ImagePoint,
  type MapGeometry,
  type MapShades,
  OCCUPANCY,
  occupancyOf,
  pixelAt,
  pixelToWorld,
  shadesOf,
  type WorldPoint,
  worldToPixel,
} from '../lib/map-transform.js';
export type { WebSocketClass } from './live-link.js';
export { joinRoom } from './room.js';
export type {
  BrowserTrack,
  JoinRoomOptions,
  LocalTrack,
  Quality,
  RemoteTrack,
  Room,
  RoomEvents,
} from './room-types.js';
export type { AppRouter };

/** The input of every procedure: `RouterInputs['status']['history']`. */
export type RouterInputs = inferRouterInputs<AppRouter>;
/** The output of every procedure: `RouterOutputs['robots']['get']`. */
export type RouterOutputs = inferRouterOutputs<AppRouter>;
/** What a call rejects with; `data.reason`, `data.limit` and `data.retry_after_ms` say more. */
export type FleetClientError = TRPCClientError<AppRouter>;

export interface FleetClientOptions {
  /** Where the server is: `https://fleet.example.com`, with a path if it is served under one. */
  url: string;
  /**
   * A certification key or an API key, or a function that gives one. The function is asked at every request, and for
   * subscriptions at every connection. Without a token only public procedures answer.
   */
  token?: string | (() => string | Promise<string>) | undefined;
  /** For runtimes without a WebSocket of their own; on Node 20 the `ws` package is used when this is not given. */
  WebSocket?: WebSocketClass | undefined;
}

/** Every procedure of the server with its types, and `close()`. */
export type FleetClient = TRPCClient<AppRouter> & {
  /** Ends every subscription and its connection; an open connection keeps a Node process alive. */
  close(): Promise<void>;
};

/** The URL of a batch stays below what servers and proxies allow for a request line. */
const URL_LIMIT_CHARACTERS = 4_000;
const BATCH_LIMIT_CALLS = 20;

/**
 * A client of one Fleetwire server. Queries and mutations of one tick travel as one HTTP request; subscriptions share
 * one WebSocket, opened for the first of them, reconnected with back-off when it is lost, and resumed.
 * @throws Error when `url` is not an http or https URL.
 */
export function createFleetClient(options: FleetClientOptions): FleetClient {
  const { http, ws } = endpoints(options.url);
  const readToken = async () =>
    typeof options.token === 'function' ? await options.token() : options.token;
  const live = createLiveLink({ url: ws, readToken, WebSocket: options.WebSocket });
  const client = createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: ({ type }) => type === 'subscription',
        true: live.link,
        false: httpBatchLink({
          url: http,
          maxURLLength: URL_LIMIT_CHARACTERS,
          maxItems: BATCH_LIMIT_CALLS,
          async headers(): Promise<{ authorization?: string }> {
            const token = await readToken();
            return token === undefined ? {} : { authorization: `Bearer ${token}` };
          },
        }),
      }),
    ],
  });
  return new Proxy(client as FleetClient, {
    get: (target, name) => (name === 'close' ? live.close : Reflect.get(target, name)),
  });
}
