import type { ServerResponse } from 'node:http';

/** Aborted when the connection of `response` is, or was, lost before all of it was written. Only then: to abort costs something. */
export function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableEnded) gone.abort();
  });
  if (response.destroyed && !response.writableEnded) gone.abort();
  return gone.signal;
}
