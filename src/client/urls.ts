/** The addresses of the tRPC doors of the server at `url`. */
export function endpoints(url: string): { http: string; ws: string } {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base?.protocol !== 'http:' && base?.protocol !== 'https:') {
    throw new Error(
      `url must be the http or https address of a server, like http://localhost:8080; got "${url}"`,
    );
  }
  const path = base.pathname.replace(/\/+$/, '');
  const address = `//${base.host}${path}/trpc`;
  return {
    http: `${base.protocol}${address}`,
    ws: `${base.protocol === 'https:' ? 'wss:' : 'ws:'}${address}`,
  };
}

/**
 * How long to wait before connecting again, in milliseconds: doubling from half a second to half a minute, and never the
 * same for two clients, so that a server that comes back is not met by all of them at once.
 */
export function backOffMs(attempt: number, random: () => number = Math.random): number {
  const longestMs = Math.min(500 * 2 ** attempt, 30_000);
  return longestMs * (0.5 + random() / 2);
}
