export interface Reply {
  status: number;
  /** Bytes of the body as sent, without the framing of chunks. */
  bodyBytes: number;
  /** The first bytes of the body of a reply that is not 2xx, for the report; empty otherwise. */
  excerpt: string;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const EXCERPT_BYTES = 300;
const HEAD_LIMIT_BYTES = 64 * 1024;

type State = 'head' | 'body' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailer';

/**
 * Reads HTTP/1.1 replies off a keep-alive connection, split anywhere. Bodies are counted and thrown away; only what is
 * needed to know where the next reply begins is looked at. Throws on what is not HTTP or has no known end.
 */
export class ResponseParser {
  readonly #onReply: (reply: Reply) => void;
  #state: State = 'head';
  #pending: Buffer | null = null;
  #line = '';
  #remaining = 0;
  #status = 0;
  #bodyBytes = 0;
  #excerpt = '';

  constructor(onReply: (reply: Reply) => void) {
    this.#onReply = onReply;
  }

  /** The buffer may be reused by the caller after the call. */
  feed(buffer: Buffer, length = buffer.length): void {
    let at = 0;
    while (at < length) {
      switch (this.#state) {
        case 'head':
          at = this.#readHead(buffer, at, length);
          break;
        case 'body':
          at = this.#skipData(buffer, at, length);
          if (this.#remaining === 0) this.#finish();
          break;
        case 'chunk-data':
          at = this.#skipData(buffer, at, length);
          if (this.#remaining === 0) this.#state = 'chunk-end';
          break;
        default:
          at = this.#readLine(buffer, at, length);
      }
    }
  }

  #readHead(buffer: Buffer, from: number, length: number): number {
    const pending = this.#pending;
    const fresh = buffer.subarray(from, length);
    const head = pending === null ? fresh : Buffer.concat([pending, fresh]);
    const end = head.indexOf(HEAD_END);
    if (end < 0) {
      if (head.length > HEAD_LIMIT_BYTES) throw new Error('the head of a reply does not end');
      this.#pending = pending === null ? Buffer.from(fresh) : head;
      return length;
    }
    this.#pending = null;
    this.#startReply(head.toString('latin1', 0, end + 2));
    return from + end + HEAD_END.length - (pending?.length ?? 0);
  }

  #startReply(head: string): void {
    const status = Number(head.slice(9, 12));
    if (!head.startsWith('HTTP/1.1 ') || !(status >= 100)) {
      throw new Error(`not a reply of HTTP/1.1: ${JSON.stringify(head.slice(0, 40))}`);
    }
    if (status < 200) return;
    this.#status = status;
    this.#bodyBytes = 0;
    this.#excerpt = '';
    const contentLength = headerValue(head, 'content-length');
    if (contentLength !== null) {
      this.#remaining = Number(contentLength);
      this.#state = 'body';
      if (this.#remaining === 0) this.#finish();
    } else if (headerValue(head, 'transfer-encoding')?.toLowerCase() === 'chunked') {
      this.#state = 'chunk-size';
    } else if (status === 204 || status === 304) {
      this.#finish();
    } else {
      throw new Error('a reply carries neither Content-Length nor chunks: its end is unknown');
    }
  }

  #skipData(buffer: Buffer, from: number, length: number): number {
    const take = Math.min(this.#remaining, length - from);
    if (this.#status >= 300 && this.#excerpt.length < EXCERPT_BYTES) {
      this.#excerpt += buffer.toString('latin1', from, from + Math.min(take, EXCERPT_BYTES));
    }
    this.#remaining -= take;
    this.#bodyBytes += take;
    return from + take;
  }

  #readLine(buffer: Buffer, from: number, length: number): number {
    const newline = buffer.indexOf(10, from);
    if (newline < 0 || newline >= length) {
      this.#line += buffer.toString('latin1', from, length);
      return length;
    }
    const line = (this.#line + buffer.toString('latin1', from, newline)).trim();
    this.#line = '';
    this.#acceptLine(line);
    return newline + 1;
  }

  #acceptLine(line: string): void {
    if (this.#state === 'chunk-size') {
      this.#remaining = Number.parseInt(line, 16);
      if (Number.isNaN(this.#remaining)) throw new Error(`not the size of a chunk: "${line}"`);
      this.#state = this.#remaining === 0 ? 'trailer' : 'chunk-data';
    } else if (this.#state === 'chunk-end') {
      this.#state = 'chunk-size';
    } else if (line === '') {
      this.#finish();
    }
  }

  #finish(): void {
    this.#state = 'head';
    this.#onReply({ status: this.#status, bodyBytes: this.#bodyBytes, excerpt: this.#excerpt });
  }
}

/** Node writes names in lower case when the server set them so, and in capitals when it set them itself. */
function headerValue(head: string, name: string): string | null {
  let at = head.indexOf(`\r\n${name}:`);
  if (at < 0) at = head.toLowerCase().indexOf(`\r\n${name}:`);
  if (at < 0) return null;
  return head.slice(at + name.length + 3, head.indexOf('\r\n', at + 2)).trim();
}
