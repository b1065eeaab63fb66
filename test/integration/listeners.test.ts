import { once } from 'node:events';
import { copyFile, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { connect as connectTls } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Listener } from '../../src/config.js';
import { createLogger } from '../../src/lib/logger.js';
import { type StartAppOptions, startApp } from '../support/app.js';
import { certificateProblem, makeTestCertificate } from '../support/certificate.js';
import { testDatabases } from '../support/databases.js';
import { createStoppedClock } from '../support/identity.js';
import { openRaw, rawRequest } from '../support/raw-http.js';
import { openCaller } from '../support/relay-caller.js';
import { until } from '../support/until.js';

const sqlite = testDatabases[0]!;
const PLAIN: Listener = { port: 0, host: '127.0.0.1', api: null, tls: null };

async function start(listeners: Partial<Listener>[], options: StartAppOptions = {}) {
  const server = { listeners: listeners.map((listener) => ({ ...PLAIN, ...listener })) };
  const app = await startApp(sqlite, { ...options, config: { ...options.config, server } });
  return { ...app, urls: app.app.furtherAddresses().map(({ url }) => url) };
}

/** A call with what `fetch` cannot say: who is trusted, and a path that is no path. */
async function get(url: string, options: RequestOptions = {}) {
  const make = url.startsWith('https') ? httpsRequest : httpRequest;
  const request = make(url, { agent: false, ...options }).end();
  const [response] = await once(request, 'response');
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode as number, text };
}

describe('a further listener', () => {
  it('serves everything, counted and limited as the first one', async () => {
    const { urls, admin, app } = await start([{}]);
    const url = urls[0]!;
    expect(app.furtherAddresses()).toEqual([{ url, api: null }]);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const headers = { authorization: `Bearer ${admin.token}` };
    expect((await get(`${url}/health`)).status).toBe(200);
    expect((await get(`${url}/api/v1/robots`, { headers })).status).toBe(200);
    expect((await get(`${url}/trpc/robots.list`, { headers })).status).toBe(200);
    expect((await get(`${url}/nowhere`)).status).toBe(404);
    // Calls of both ports meet.
    const [ann, ben] = [await openCaller(`${url}/ws`), await openCaller(`${url}/ws`)];
    ann.ws.send('hello');
    expect(await ben.reach(1)).toEqual(['hello']);
  });

  it('answers what is no HTTP', async () => {
    const { urls } = await start([{}]);
    const socket = connect(Number(new URL(urls[0]!).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write('what is this?\r\n\r\n');
    const [answer] = await once(socket.setEncoding('utf8'), 'data');
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('is opened or the server does not start, and then the database is closed again', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    await expect(start([{ port }])).rejects.toMatchObject({ code: 'EADDRINUSE', port });
  });

  it('ends with the server, whatever is open on it', async () => {
    const { urls, close } = await start([{}]);
    const port = Number(new URL(urls[0]!).port);
    const [idle, slow] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
    for (const socket of [idle, slow]) {
      socket.on('error', () => {});
      await once(socket, 'connect');
    }
    slow.write('POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{');
    const caller = await openCaller(`${urls[0]}/ws`);
    const ended = [once(idle, 'close'), once(slow, 'close')];
    const startMs = performance.now();
    await close();
    expect(performance.now() - startMs).toBeLessThan(4_500);
    await Promise.all(ended);
    expect((await caller.closed).code).toBe(1012);
    await expect(get(`${urls[0]}/health`)).rejects.toThrow('ECONNREFUSED');
  });
});

const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

describe('the host localhost', () => {
  it.skipIf(!hasIPv6)('is both addresses of it, each with everything', async () => {
    const { url, admin, call } = await startApp(sqlite, {
      config: { server: { host: 'localhost' } },
    });
    await call('POST', '/api/v1/robots', { robot_id: 'robot', robot_type: 'r' });
    const { hostname, port } = new URL(url);
    expect(hostname).toBe('127.0.0.1');
    for (const host of ['127.0.0.1', '[::1]']) {
      const origin = `http://${host}:${port}`;
      // Both of what stands in front of the framework.
      expect((await get(`${origin}/k/${admin.token}/api/v1/robots`)).status).toBe(200);
      const { socket, answer } = await openRaw(origin);
      const headers = [`Host: ${host}`, `Authorization: Bearer ${admin.token}`];
      socket.write(rawRequest('POST /api/v1/robots/robot/status', headers, '{"status":{}}'));
      const { status, names } = await answer();
      expect([status, names.includes('Date')]).toEqual([200, false]);
    }
  });

  it.skipIf(!hasIPv6)('is not taken by halves', async () => {
    const other = createServer().listen(0, '::1');
    await once(other, 'listening');
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const started = startApp(sqlite, { config: { server: { host: 'localhost', port } } });
    await expect(started).rejects.toMatchObject({ code: 'EADDRINUSE', address: '::1' });
  });
});

describe('a listener for one API', () => {
  it('serves that one at its documented paths, and nothing else', async () => {
    const { url, urls, admin } = await start([{ api: 'kairoio' }, { api: 'relay' }]);
    const [kairoio, relay] = urls as [string, string];
    const headers = { authorization: `Bearer ${admin.token}` };
    // Its own health, not the one of everything.
    const health = JSON.parse((await get(`${kairoio}/health`)).text);
    expect(Object.keys(health)).toEqual(['success', 'data']);
    expect((await get(`${kairoio}/api/v1/robots`, { headers })).status).toBe(200);
    expect((await get(`${kairoio}/k/${admin.token}/api/v1/robots`)).status).toBe(200);
    await expect(openCaller(`${kairoio}/ws`)).rejects.toThrow('refused: 404');
    for (const path of ['/trpc/robots.list', '/docs', '/openapi.json', '/metrics']) {
      expect((await get(`${kairoio}${path}`, { headers })).status, path).toBe(404);
    }

    const [ann, ben] = [await openCaller(`${relay}/ws`), await openCaller(`${url}/ws`)];
    ann.ws.send('hello');
    expect(await ben.reach(1)).toEqual(['hello']);
    const answer = await get(`${relay}/api/v1/robots?token=x`, { headers });
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text).error).toContain('There is no GET /api/v1/robots;');
  });

  it.each([
    ['a whole URL as its target', { path: 'http://localhost/api/v1/robots' }, 404],
    ['dots', { path: '/../../api/v1/robots' }, 404],
    ['encoded dots', { path: '/%2e%2e/%2e%2e/api/v1/robots' }, 404],
    ['two slashes', { path: '//api/v1/robots' }, 404],
    ['the path of another mount', { path: '/compat/kairoio/api/v1/robots' }, 404],
    ['a key before it', { path: '/k/x/api/v1/robots' }, 404],
    [
      'the wish for another protocol',
      { path: '/api/v1/robots', headers: { connection: 'upgrade', upgrade: 'h2c' } },
      404,
    ],
  ])('is not fooled by %s', async (_title, options: RequestOptions, status) => {
    const { urls, admin } = await start([{ api: 'relay' }]);
    const headers = { ...options.headers, authorization: `Bearer ${admin.token}` };
    expect((await get(urls[0]!, { ...options, headers })).status).toBe(status);
  });

  it('is not fooled by a second request on the same connection, nor by a status', async () => {
    const { urls, admin, call } = await start([{ api: 'relay' }]);
    await call('POST', '/api/v1/robots', { robot_id: 'robot', robot_type: 'r' });
    const socket = connect(Number(new URL(urls[0]!).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    const head = (line: string, extra = '') =>
      `${line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${admin.token}\r\n${extra}\r\n`;
    const status = 'content-type: application/json\r\ncontent-length: 7\r\n';
    const requests = [
      head('GET /api/v1/robots'),
      head('GET /api/v1/robots', 'connection: upgrade\r\nupgrade: h2c\r\n'),
      `${head('POST /api/v1/robots/robot/status', status)}{"x":1}`,
      head('GET /api/v1/robots'),
    ];
    for (const request of requests) {
      socket.write(request);
      const [answer] = await once(socket.setEncoding('utf8'), 'data');
      expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    }
    const robot = await call('GET', '/api/v1/robots/robot/status');
    expect(robot.text).not.toContain('"x":1');
  });
});

const why = certificateProblem ? ` (skipped: ${certificateProblem})` : '';

describe.skipIf(certificateProblem)(`a listener with TLS${why}`, () => {
  it('serves HTTPS and wss to those who trust its certificate', async () => {
    const { ca, ...tls } = await makeTestCertificate();
    const { urls, admin } = await start([{ tls }, { tls, api: 'relay' }]);
    const [all, relay] = urls.map((url) => url.replace('127.0.0.1', 'localhost'));
    expect(all).toMatch(/^https:/);
    const headers = { authorization: `Bearer ${admin.token}` };
    expect((await get(`${all}/api/v1/robots`, { ca, headers })).status).toBe(200);
    expect((await get(`https://127.0.0.1:${new URL(all!).port}/health`, { ca })).status).toBe(200);
    await expect(get(`${all}/health`)).rejects.toMatchObject({
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    });
    const [ann, ben] = [
      await openCaller(`${relay}/ws`, { ca }),
      await openCaller(`${all}/ws`, { ca }),
    ];
    ann.ws.send('hello');
    expect(await ben.reach(1)).toEqual(['hello']);
    await expect(openCaller(`${relay}/ws`, { ca })).rejects.toThrow('closed: 4003');
    const forwarded = { ca, headers: { 'x-forwarded-for': '127.0.0.1' } };
    await expect(openCaller(`${relay}/ws`, forwarded)).rejects.toThrow('refused: 401');
  });

  it('takes statuses, and other calls after them, on one connection', async () => {
    const { ca, ...tls } = await makeTestCertificate();
    const { urls, admin, call } = await start([{ tls }]);
    await call('POST', '/api/v1/robots', { robot_id: 'robot', robot_type: 'r' });
    const socket = connectTls({ ca, host: 'localhost', port: Number(new URL(urls[0]!).port) });
    onTestFinished(() => void socket.destroy());
    const bearer = `host: x\r\nauthorization: Bearer ${admin.token}\r\n`;
    const body = '{"status":{"over":"TLS"}}';
    const status = `POST /api/v1/robots/robot/status HTTP/1.1\r\n${bearer}content-length: ${body.length}\r\n\r\n${body}`;
    const other = `GET /api/v1/robots/robot/status HTTP/1.1\r\n${bearer}\r\n`;
    for (const request of [status, status, other, status]) {
      socket.write(request);
      const [answer] = await once(socket.setEncoding('utf8'), 'data');
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      if (request === other) expect(answer).toContain('"over":"TLS"');
    }
  });

  it('does not wait for a browser that keeps its connection for later', async () => {
    const { ca, ...tls } = await makeTestCertificate();
    const { urls, close } = await start([{ tls }]);
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    expect((await get(`${urls[0]}/health`, { ca, agent })).status).toBe(200);
    expect(Object.values(agent.freeSockets).flat()).toHaveLength(1);
    const startMs = performance.now();
    await close();
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });

  it('closes who speaks plain HTTP to it, and goes on', async () => {
    const { ca, ...tls } = await makeTestCertificate();
    const { urls, close } = await start([{ tls }]);
    await expect(get(urls[0]!.replace('https', 'http'))).rejects.toThrow();
    expect((await get(`${urls[0]}/health`, { ca })).status).toBe(200);
    // One that never begins its handshake holds up nothing.
    const silent = connect(Number(new URL(urls[0]!).port), '127.0.0.1');
    silent.on('error', () => {});
    await once(silent, 'connect');
    const ended = once(silent, 'close');
    await close();
    await ended;
  });

  it('uses a renewed certificate within a minute, and the old one as long as the new is no good', async () => {
    const [old, renewed] = [await makeTestCertificate(), await makeTestCertificate()];
    const clock = createStoppedClock();
    const lines: string[] = [];
    const log = createLogger('info', { write: (line) => void lines.push(line) });
    const { cert, key } = old;
    const { urls } = await start([{ tls: { cert, key } }], { clock, log });
    const serial = async () => {
      const { port } = new URL(urls[0]!);
      const socket = connectTls({
        port: Number(port),
        host: '127.0.0.1',
        rejectUnauthorized: false,
      });
      await once(socket, 'secureConnect');
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      return serialNumber;
    };
    const before = await serial();
    await writeFile(cert, renewed.ca);
    clock.advance(60_000);
    await until('a word about it', () => lines.join('').includes('The certificate in use stays'));
    expect(await serial()).toBe(before);
    await copyFile(renewed.key, key);
    clock.advance(60_000);
    await until('the new one', () => lines.join('').includes('a new certificate is in use'));
    expect(await serial()).not.toBe(before);
    expect((await get(`${urls[0]}/health`, { ca: renewed.ca })).status).toBe(200);
    expect(lines.join('')).not.toContain('PRIVATE');
  });

  it('with files that are no good keeps the server from starting, with every problem', async () => {
    const [one, other] = [await makeTestCertificate(), await makeTestCertificate()];
    const listeners = [
      {},
      { tls: { cert: 'nowhere.pem', key: one.key } },
      { tls: { cert: one.cert, key: other.key } },
      { tls: { cert: one.key, key: one.key } },
      { tls: { cert: one.cert, key: one.key } },
    ];
    const attempt = start(listeners).catch((error: Error) => error.message.split('\n'));
    expect(await attempt).toEqual([
      'server.listeners, entry 2: nowhere.pem: there is no such file; fleetwire cert --dev makes a pair to try things out',
      expect.stringMatching(/^server\.listeners, entry 3: .* are no certificate and its key: /),
      expect.stringMatching(/^server\.listeners, entry 4: .* are no certificate and its key: /),
    ]);
  });
});
