import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

/** What cannot be read as a request, by the code of Node's error. */
const ANSWERS: Readonly<Record<string, { status: number; code: string; message: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    code: 'timeout',
    message: 'The request did not arrive in time; see server.read_timeout',
  },
  HPE_HEADER_OVERFLOW: {
    status: 431,
    code: 'too_large',
    message: 'The headers of the request are too large',
  },
};
const MALFORMED = { status: 400, code: 'invalid_input', message: 'This is not an HTTP request' };

/** Answers what never became a request, in the envelope that `failure` makes, and ends the connection. */
export function answerProtocolErrors(failure: (answer: typeof MALFORMED) => unknown) {
  return (error: NodeJS.ErrnoException, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const answer = ANSWERS[error.code ?? ''] ?? MALFORMED;
    const body = JSON.stringify(failure(answer));
    const head = [
      `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}`,
      'content-type: application/json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
  };
}
