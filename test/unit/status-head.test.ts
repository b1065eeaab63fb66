import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readStatusHead } from '../../src/http/status-head.js';

const LINES = [
  'POST /api/v1/robots/robot_001/status HTTP/1.1',
  'Host: fleet.example:8080',
  'User-Agent: python-requests/2.31.0',
  'Accept-Encoding: gzip, deflate',
  'Accept: */*',
  'Connection: keep-alive',
  'Content-Type: application/json',
  'Authorization: Bearer fwr_abc',
  'Content-Length: 13',
];
const HEAD = LINES.join('\r\n');

describe('the head of a single status', () => {
  it('says whose, by whom and how long', () => {
    const expected = { robotId: 'robot_001', credential: 'fwr_abc', bodyBytes: 13 };
    expect(readStatusHead(HEAD)).toEqual(expected);
    expect(
      readStatusHead(HEAD.toLowerCase().replace('post', 'POST').replace('http/', 'HTTP/')),
    ).toEqual(expected);
  });

  it.each([
    ['another path', HEAD.replace('/status', '/status?x=1')],
    ['another method', HEAD.replace('POST', 'PUT')],
    ['another version', HEAD.replace('HTTP/1.1', 'HTTP/1.0')],
    ['a robot in escapes', HEAD.replace('robot_001', 'robot%201')],
    ['no length', HEAD.replace(/\r\nContent-Length.*/, '')],
    ['an empty body', HEAD.replace(': 13', ': 0')],
    ['a length with a sign', HEAD.replace(': 13', ': +13')],
    ['a list of lengths', HEAD.replace(': 13', ': 13, 13')],
    ['two lengths', `${HEAD}\r\nContent-Length: 13`],
    ['chunks', `${HEAD}\r\nTransfer-Encoding: chunked`],
    ['a page', `${HEAD}\r\nOrigin: https://a.example`],
    ['a proxy', `${HEAD}\r\nX-Forwarded-For: 10.0.0.1`],
    ['an expectation', `${HEAD}\r\nExpect: 100-continue`],
    ['a body that is packed', `${HEAD}\r\nContent-Encoding: gzip`],
    ['a last request', HEAD.replace('keep-alive', 'close')],
    ['a fold', HEAD.replace('*/*', '*/*\r\n more')],
    ['a lone line feed', HEAD.replace('*/*', '*/*\nX: y')],
    ['a NUL', HEAD.replace('*/*', '*/\0')],
    ['no host', HEAD.replace(/\r\nHost.*8080/, '')],
    ['no key', HEAD.replace(/\r\nAuthorization.*abc/, '')],
    ['another scheme', HEAD.replace('Bearer', 'Basic')],
  ])('is not ordinary with %s', (_name, head) => {
    expect(head).not.toBe(HEAD);
    expect(readStatusHead(head)).toBeUndefined();
  });
});

describe('what is taken for ordinary', () => {
  const server = createServer();
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => void server.close());

  /** What Node makes of the bytes: all requests, until the connection ends. */
  async function asNode(bytes: string): Promise<{ request: IncomingMessage; body: Buffer }[]> {
    const read: Promise<{ request: IncomingMessage; body: Buffer }>[] = [];
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    server.removeAllListeners('request').on('request', (request, response) => {
      read.push(buffer(request).then((body) => ({ request, body })));
      response.setHeader('connection', 'close').end();
    });
    socket
      .on('error', () => {})
      .resume()
      .write(bytes, 'latin1');
    await once(socket, 'close');
    return Promise.all(read);
  }

  it('is the same to a parser of HTTP', async () => {
    const name = fc.constantFrom(
      ...LINES.slice(1).map((line) => line.split(':')[0] as string),
      'pragma',
    );
    const value = fc.oneof(
      fc.string(),
      fc.constantFrom(
        '1',
        '0',
        '13 ',
        ' 13',
        '\t13',
        '13\t',
        'keep-alive',
        'Bearer  x',
        'bearer y ',
        '\x7f',
      ),
    );
    const separator = fc.constantFrom(':', ': ', ':  ', ' :', ':\t');
    const line = fc.tuple(name, separator, value).map((parts) => parts.join(''));
    const head = fc
      .tuple(
        fc.shuffledSubarray(LINES.slice(1), { minLength: LINES.length - 3 }),
        fc.array(line, { maxLength: 2 }),
        fc.constantFrom('robot_001', '.', '..', '-', 'a/b', 'r%20', 'x'.repeat(129)),
      )
      .map(([lines, more, robot]) =>
        [`POST /api/v1/robots/${robot}/status HTTP/1.1`, ...lines, ...more].join('\r\n'),
      );
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(head, async (text) => {
        const read = readStatusHead(text);
        if (!read) return;
        taken += 1;
        const body = 'b'.repeat(read.bodyBytes);
        const requests = await asNode(`${text}\r\n\r\n${body}`);
        expect(requests).toHaveLength(1);
        const [{ request, body: received }] = requests as [(typeof requests)[number]];
        expect(request.method).toBe('POST');
        expect(request.url).toBe(`/api/v1/robots/${read.robotId}/status`);
        expect(received.toString()).toBe(body);
        expect(request.headers.authorization?.toLowerCase().startsWith('bearer ')).toBe(true);
        expect(request.headers.authorization?.endsWith(read.credential)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
    expect(taken).toBeGreaterThan(100);
  });
});
