import http from 'node:http';
import https from 'node:https';

/** What came of a request. */
export type Reply =
  | { kind: 'ok'; data: unknown; latencyMs: number }
  | {
      kind: 'refused';
      status: number;
      message: string;
      /** The name of the limit that was hit. */
      limit?: string | undefined;
      retryAfterMs?: number | undefined;
    }
  | { kind: 'lost'; message: string };

export interface CallOptions {
  token?: string;
  body?: unknown;
  /** How long the server may say nothing. */
  silenceLimitMs?: number;
}

export interface Link {
  /** Never rejects. `path` begins with a slash and follows the server's address. */
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  /** Breaks off what is under way. */
  close(): void;
}

const SILENCE_LIMIT_MS = 10_000;

/** Requests to one Fleetwire, over connections that are kept. `url` may have a path. */
export function createLink(url: string): Link {
  const base = url.replace(/\/+$/, '');
  const { Agent, request } = base.startsWith('https:') ? https : http;
  const agent = new Agent({ keepAlive: true });

  return {
    close: () => agent.destroy(),
    call: (method, path, { token, body, silenceLimitMs = SILENCE_LIMIT_MS } = {}) =>
      new Promise((resolve) => {
        const startedMs = performance.now();
        const text = body === undefined ? undefined : JSON.stringify(body);
        const outgoing = request(`${base}${path}`, {
          method,
          agent,
          timeout: silenceLimitMs,
          headers: {
            ...(token !== undefined && { authorization: `Bearer ${token}` }),
            ...(text !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(text),
            }),
          },
        });
        const lose = (error: NodeJS.ErrnoException) =>
          resolve({ kind: 'lost', message: error.code ?? error.message });
        outgoing.on('error', lose);
        outgoing.on('timeout', () =>
          outgoing.destroy(new Error(`no answer within ${silenceLimitMs / 1_000} s`)),
        );
        outgoing.on('response', (response) => {
          let answer = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            answer += chunk;
          });
          response.on('error', lose);
          response.on('end', () =>
            resolve(replyOf(response, answer, performance.now() - startedMs)),
          );
        });
        outgoing.end(text);
      }),
  };
}

function replyOf(response: http.IncomingMessage, text: string, latencyMs: number): Reply {
  const status = response.statusCode ?? 0;
  const envelope = parse(text);
  if (status >= 200 && status < 300 && envelope?.success === true) {
    return { kind: 'ok', data: envelope.data, latencyMs };
  }
  const { error, limit } = envelope ?? {};
  return {
    kind: 'refused',
    status,
    message: typeof error === 'string' ? error : `HTTP ${status}, and not in the form of Fleetwire`,
    limit: typeof limit === 'string' ? limit : undefined,
    retryAfterMs: retryAfterMs(response.headers['retry-after']),
  };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function retryAfterMs(header: string | undefined): number | undefined {
  return header !== undefined && /^\d+$/.test(header) ? Number(header) * 1_000 : undefined;
}
