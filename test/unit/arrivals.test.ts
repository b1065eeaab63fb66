import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createArrivals } from '../../src/http/arrivals.js';

function arrive(url: string, api?: string) {
  const arrivals = createArrivals();
  const socket = new Socket();
  if (api) arrivals.bind(socket, api);
  const request = Object.assign(new IncomingMessage(socket), { url });
  arrivals.receive(request);
  return { url: request.url, key: arrivals.keyOf(request), path: arrivals.pathOf(request) };
}

describe('an address', () => {
  it.each([
    ['/api/v1/robots?a=1', '/api/v1/robots?a=1', undefined],
    ['/', '/', undefined],
    ['/k/abc/api/v1/robots?a=/k/b/', '/api/v1/robots?a=/k/b/', 'abc'],
    ['/k/abc/ws', '/ws', 'abc'],
    ['/k/abc', '/', 'abc'],
    ['/k/abc?room=x', '/?room=x', 'abc'],
    ['/k/a%2Fb/ws', '/ws', 'a/b'],
    ['/k/a%zz/ws', '/ws', 'a%zz'],
    ['/k/abc/k/def/ws', '/k/def/ws', 'abc'],
    ['/k//ws', '/k//ws', undefined],
    ['/kitchen', '/kitchen', undefined],
    ['/api/k/abc/ws', '/api/k/abc/ws', undefined],
    ['http://host:8080/k/abc/ws?x', '/ws?x', 'abc'],
    ['HTTPS://host', '/', undefined],
    ['*', '/*', undefined],
  ])('%s is served as %s with the key %s', (written, url, key) => {
    expect(arrive(written)).toMatchObject({ url, key });
  });

  it.each([
    ['/ws', '/compat/relay/ws'],
    ['/k/abc/ws?room=x', '/compat/relay/ws?room=x'],
    ['/api/v1/robots', '/compat/relay/api/v1/robots'],
    ['http://host/api/v1/robots', '/compat/relay/api/v1/robots'],
    ['//api/v1/robots', '/compat/relay//api/v1/robots'],
    ['*', '/compat/relay/*'],
  ])('%s, where one API is served alone, is %s', (written, url) => {
    expect(arrive(written, 'relay').url).toBe(url);
  });

  it('is shown as it was written, without query and key', () => {
    expect(arrive('/k/abc/nowhere?token=secret', 'relay').path).toBe('/nowhere');
  });
});
