import { bearerOf } from './credential.js';

/** What the head of an ordinary request with a single status says. */
export interface StatusHead {
  robotId: string;
  credential: string;
  bodyBytes: number;
}

const REQUEST_LINE = /^POST \/api\/v1\/robots\/([\w.-]{1,128})\/status HTTP\/1\.1$/;
/** Printable ASCII alone; a tab, a fold or a lone line feed is for a real parser to judge. */
const HEADER_LINE = /^([A-Za-z-]+): *([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?) *$/;
/** What the clients of robots say of themselves. Any other header may change what a request means, or who sent it. */
const ORDINARY = new Set([
  ...['host', 'authorization', 'content-type', 'content-length', 'connection'],
  ...['user-agent', 'accept', 'accept-encoding', 'accept-language', 'cache-control', 'pragma'],
  'sec-fetch-mode',
]);

/**
 * Reads the head of a request, without the empty line. Undefined for everything that is not plainly such a request, right
 * or wrong: this is no parser of HTTP, and what it does not know is for one to read (RFC 9112).
 */
export function readStatusHead(head: string): StatusHead | undefined {
  const [requestLine = '', ...lines] = head.split('\r\n');
  const robotId = REQUEST_LINE.exec(requestLine)?.[1];
  if (robotId === undefined) return undefined;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, written = '', value = ''] = HEADER_LINE.exec(line) ?? [];
    const name = written.toLowerCase();
    if (!ORDINARY.has(name) || headers.has(name)) return undefined;
    headers.set(name, value);
  }
  const connection = headers.get('connection')?.toLowerCase() ?? 'keep-alive';
  if (!headers.has('host') || connection !== 'keep-alive') return undefined;
  const credential = bearerOf(headers.get('authorization'));
  const length = headers.get('content-length') ?? '';
  if (credential === undefined || !/^[1-9]\d{0,8}$/.test(length)) return undefined;
  return { robotId, credential, bodyBytes: Number(length) };
}
