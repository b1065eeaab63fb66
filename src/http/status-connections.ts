import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { AnswerStatus, StatusAnswer } from './status-answer.js';
import { readStatusHead, type StatusHead } from './status-head.js';

export interface StatusConnectionsOptions {
  answerStatus: AnswerStatus;
  bodyLimitBytes: number;
  /** Longest time for a request to arrive; 0 for no limit. */
  readTimeoutMs: number;
  /** How long a connection is kept for the next request; 0 for ever. */
  idleTimeoutMs: number;
  /** Serves a connection as HTTP from here on. */
  handOver: (socket: Socket) => void;
  /** Answers one whose request does not arrive in time. */
  refuseSlow: (socket: Socket) => void;
}

/** Connections that carry nothing but single statuses, as far as is known. */
export interface StatusConnections {
  accept(socket: Socket): void;
  /** Lets calls under way be answered, and ends every connection. */
  close(): void;
}

const HEAD_END = '\r\n\r\n';
const HEAD_LIMIT_BYTES = 4_096;
/** How long a call that is under way may still take when the server stops. */
const CLOSING_MS = 2_000;

/**
 * The shortest way for a single status: straight from the socket, for connections on which robots send nothing else. A
 * request is taken here if its head is ordinary to the letter (`readStatusHead`) and it is there whole, or the rest of
 * its body comes in one more piece, as Python's clients do it. With the first request that is anything else the
 * connection is handed over to HTTP for good, and that request with it.
 */
export function createStatusConnections(options: StatusConnectionsOptions): StatusConnections {
  const connections = new Set<StatusConnection>();
  let isClosing = false;
  return {
    accept(socket) {
      if (isClosing) options.handOver(socket);
      else new StatusConnection(socket, options, connections);
    },
    close() {
      isClosing = true;
      for (const connection of connections) connection.close();
    },
  };
}

class StatusConnection {
  readonly #socket: Socket;
  readonly #options: StatusConnectionsOptions;
  readonly #others: Set<StatusConnection>;
  readonly #ip: string;
  /** The head of the last request, and what it said: a robot's next one is most often the same. */
  #headBytes: Buffer | undefined;
  #head: StatusHead | undefined;
  /** A request whose body is not whole yet. */
  #begun: Buffer | undefined;
  /** What came while a call was under way. */
  #early: Buffer[] = [];
  #isBusy = false;
  #isLast = false;
  #hasServed = false;

  constructor(socket: Socket, options: StatusConnectionsOptions, others: Set<StatusConnection>) {
    this.#socket = socket;
    this.#options = options;
    this.#others = others;
    this.#ip = socket.remoteAddress ?? '';
    others.add(this);
    socket.setTimeout(options.readTimeoutMs);
    socket.on('data', this.#onData).on('end', this.#onEnd).on('timeout', this.#onTimeout);
    socket.on('error', this.#onError).on('close', this.#leave);
  }

  close(): void {
    this.#isLast = true;
    if (this.#isBusy) this.#socket.setTimeout(CLOSING_MS);
    else this.#socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isBusy) {
      this.#early.push(chunk);
      this.#socket.pause();
      return;
    }
    const begun = this.#begun;
    const bytes = begun ? Buffer.concat([begun, chunk]) : chunk;
    const headEnd = bytes.indexOf(HEAD_END);
    const head = headEnd > 0 ? this.#readHead(bytes, headEnd) : undefined;
    const bodyStart = headEnd + HEAD_END.length;
    const missingBytes = head ? bodyStart + head.bodyBytes - bytes.length : Number.NaN;
    if (head && missingBytes === 0 && !this.#socket.writableNeedDrain) {
      this.#begun = undefined;
      void this.#serve(head, bytes.subarray(bodyStart));
    } else if (missingBytes > 0 && !begun) {
      this.#begun = bytes;
      this.#socket.setTimeout(this.#options.readTimeoutMs);
    } else {
      this.#handOver(bytes);
    }
  };

  #readHead(bytes: Buffer, end: number): StatusHead | undefined {
    const known = this.#headBytes;
    if (known?.length === end && bytes.compare(known, 0, end, 0, end) === 0) return this.#head;
    if (end > HEAD_LIMIT_BYTES) return undefined;
    const head = readStatusHead(bytes.toString('latin1', 0, end));
    if (!head || head.bodyBytes > this.#options.bodyLimitBytes) return undefined;
    // A copy: the rest of what it is cut from need not stay.
    this.#headBytes = Buffer.from(bytes.subarray(0, end));
    this.#head = head;
    return head;
  }

  async #serve({ robotId, credential }: StatusHead, body: Buffer): Promise<void> {
    this.#isBusy = true;
    const call = { ip: this.#ip, robotId, credential };
    const answer = await this.#options.answerStatus(call, body);
    this.#isBusy = false;
    if (this.#socket.destroyed) return;
    this.#write(answer);
    if (this.#isLast) this.#socket.destroySoon();
    else if (this.#early.length > 0) this.#handOver(Buffer.concat(this.#early));
  }

  #write({ status, body, retryAfterSeconds }: StatusAnswer): void {
    const { idleTimeoutMs } = this.#options;
    this.#hasServed = true;
    if (this.#socket.timeout !== idleTimeoutMs) this.#socket.setTimeout(idleTimeoutMs);
    const last = 'connection: close\r\n';
    const more = `connection: keep-alive\r\nkeep-alive: timeout=${Math.floor(idleTimeoutMs / 1_000)}\r\n`;
    const retry = retryAfterSeconds === undefined ? '' : `retry-after: ${retryAfterSeconds}\r\n`;
    const head =
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n` +
      `content-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `${retry}date: ${httpDate()}\r\n${this.#isLast ? last : more}\r\n`;
    this.#socket.write(head + body);
  }

  /** For good, with what has come of it. */
  #handOver(bytes: Buffer): void {
    const socket = this.#socket;
    socket.off('data', this.#onData).off('end', this.#onEnd).off('timeout', this.#onTimeout);
    socket.off('error', this.#onError).off('close', this.#leave);
    this.#leave();
    socket.setTimeout(0);
    this.#options.handOver(socket);
    socket.emit('data', bytes);
    socket.resume();
  }

  readonly #onEnd = (): void => {
    this.#isLast = true;
    if (this.#isBusy) return;
    if (!this.#begun) return void this.#socket.end();
    this.#handOver(this.#begun);
    this.#socket.emit('end');
  };

  readonly #onTimeout = (): void => {
    const isLate = !this.#isBusy && (this.#begun !== undefined || !this.#hasServed);
    if (isLate) this.#options.refuseSlow(this.#socket);
    else this.#socket.destroy();
  };

  /** The socket closes by itself. */
  readonly #onError = (): void => {};

  readonly #leave = (): void => void this.#others.delete(this);
}

let dateText = '';
let dateSecond = 0;

/** The time of a Date header, made once a second. */
function httpDate(): string {
  const second = Math.floor(Date.now() / 1_000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(second * 1_000).toUTCString();
  }
  return dateText;
}
