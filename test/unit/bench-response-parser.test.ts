import { describe, expect, it } from 'vitest';
import { type Reply, ResponseParser } from '../../bench/generator/response-parser.js';

const JSON_REPLY =
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\nDate: now\r\n\r\n{"success":true}';
const CHUNKED_REPLY =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1a;name=value\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nx-sum: 1\r\n\r\n';
const REFUSAL =
  'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 17\r\nRetry-After: 1\r\n\r\n{"success":false}';
const EMPTY_REPLIES =
  'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n';

const STREAM = JSON_REPLY + CHUNKED_REPLY + REFUSAL + EMPTY_REPLIES + JSON_REPLY;
const EXPECTED: Reply[] = [
  { status: 200, bodyBytes: 16, excerpt: '' },
  { status: 200, bodyBytes: 31, excerpt: '' },
  { status: 503, bodyBytes: 17, excerpt: '{"success":false}' },
  { status: 200, bodyBytes: 0, excerpt: '' },
  { status: 204, bodyBytes: 0, excerpt: '' },
  { status: 200, bodyBytes: 16, excerpt: '' },
];

function parse(pieces: readonly Buffer[]): Reply[] {
  const replies: Reply[] = [];
  const parser = new ResponseParser((reply) => replies.push(reply));
  // One buffer for all pieces, as the sockets of the generator use it: what the parser keeps must be a copy.
  const shared = Buffer.alloc(4096);
  for (const piece of pieces) {
    shared.fill(0x23);
    piece.copy(shared);
    parser.feed(shared, piece.length);
  }
  return replies;
}

describe('ResponseParser', () => {
  const bytes = Buffer.from(STREAM, 'latin1');

  it('reads replies that arrive together', () => {
    expect(parse([bytes])).toEqual(EXPECTED);
  });

  it('reads them byte by byte', () => {
    expect(parse(Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual(EXPECTED);
  });

  it('reads them split in two anywhere', () => {
    for (let at = 1; at < bytes.length; at++) {
      expect(parse([bytes.subarray(0, at), bytes.subarray(at)]), `split at ${at}`).toEqual(
        EXPECTED,
      );
    }
  });

  it('reads them in three pieces with a short middle, so that one line spans all', () => {
    for (let at = 1; at < bytes.length - 2; at++) {
      const pieces = [bytes.subarray(0, at), bytes.subarray(at, at + 2), bytes.subarray(at + 2)];
      expect(parse(pieces), `split at ${at}`).toEqual(EXPECTED);
    }
  });

  it('reports a reply only when its last byte is there', () => {
    expect(parse([Buffer.from(JSON_REPLY.slice(0, -1))])).toEqual([]);
    expect(parse([Buffer.from(CHUNKED_REPLY.slice(0, -1))])).toEqual([]);
  });

  it('refuses what is not HTTP/1.1, what has no known end, and a broken chunk', () => {
    const reading = (text: string) => () => parse([Buffer.from(text)]);
    expect(reading('HTTP/1.0 200 OK\r\n\r\n')).toThrow('not a reply of HTTP/1.1');
    expect(reading('SSH-2.0-OpenSSH\r\n\r\n')).toThrow('not a reply of HTTP/1.1');
    expect(reading('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n')).toThrow('its end is unknown');
    expect(reading('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n')).toThrow(
      'not the size of a chunk',
    );
  });
});
