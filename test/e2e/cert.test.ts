import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { hostname, networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config.js';
import { certificateProblem } from '../support/certificate.js';
import { runCommand } from '../support/command.js';
import { testDatabases } from '../support/databases.js';
import { openCaller } from '../support/relay-caller.js';
import { startServer } from '../support/server-process.js';

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fleetwire-cert-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const why = certificateProblem ? ` (skipped: ${certificateProblem})` : '';

describe.skipIf(certificateProblem)(`fleetwire cert --dev${why}`, () => {
  it('makes a certificate for this machine, and a key that its owner alone can read', async () => {
    const cwd = await emptyFolder();
    const { code, out, err } = await runCommand(['cert', '--dev'], { cwd });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(await readdir(cwd, { recursive: true })).toEqual(
      expect.arrayContaining(['data', 'data/tls', 'data/tls/cert.pem', 'data/tls/key.pem']),
    );
    expect(await readdir(join(cwd, 'data/tls'))).toHaveLength(2);
    expect((await stat(join(cwd, 'data/tls/key.pem'))).mode & 0o777).toBe(0o600);
    const cert = new X509Certificate(await readFile(join(cwd, 'data/tls/cert.pem')));
    const own = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const ip of ['127.0.0.1', '::1', ...own.map(({ address }) => address)]) {
      expect(cert.checkIP(ip), ip).toBe(ip);
    }
    for (const name of ['localhost', hostname()]) expect(cert.checkHost(name), name).toBe(name);
    expect(cert.checkHost('example.com')).toBeUndefined();
    expect(cert.ca).toBe(false);
    expect(cert.verify(cert.publicKey)).toBe(true);
    expect(out).not.toContain('PRIVATE KEY');
  });

  it('prints lines that the configuration takes as they are', async () => {
    const cwd = await emptyFolder();
    const { out } = await runCommand(['cert', '--dev', '--out', 'my certs'], { cwd });
    const yaml = /^server:\n(?:^ .*\n)+/m.exec(out)?.[0] ?? '';
    const variable = /^KAIROIO_SERVER_LISTENERS='(.*)'$/m.exec(out)?.[1] ?? '';
    const tls = { cert: 'my certs/cert.pem', key: 'my certs/key.pem' };
    expect(parse(yaml)).toEqual({
      server: {
        listeners: [
          { port: 8443, tls },
          { port: 8000, api: 'relay', tls },
        ],
      },
    });
    const { config, warnings } = loadConfig({ env: { KAIROIO_SERVER_LISTENERS: variable } });
    expect(warnings).toEqual([]);
    expect(config.server.listeners).toEqual([{ port: 8443, host: '0.0.0.0', api: null, tls }]);
  });

  it('knows further names and addresses', async () => {
    const cwd = await emptyFolder();
    const names = ['--host', 'fleet.example', '--host', '192.0.2.7', '--host', '2001:db8::7'];
    expect(await runCommand(['cert', '--dev', ...names], { cwd })).toMatchObject({ code: 0 });
    const cert = new X509Certificate(await readFile(join(cwd, 'data/tls/cert.pem')));
    expect(cert.checkHost('fleet.example')).toBe('fleet.example');
    expect(cert.checkIP('192.0.2.7')).toBe('192.0.2.7');
    expect(cert.checkIP('2001:db8::7')).toBe('2001:db8::7');
    expect(cert.checkHost('localhost')).toBe('localhost');
  });

  it('replaces nothing unless it is told to', async () => {
    const cwd = await emptyFolder();
    const key = join(cwd, 'data/tls/key.pem');
    await mkdir(join(cwd, 'data/tls'), { recursive: true });
    await writeFile(key, 'mine', { mode: 0o644 });
    expect(await runCommand(['cert', '--dev'], { cwd })).toEqual({
      ...{ code: 1, out: '' },
      err: 'data/tls/key.pem is there already; --force replaces it\n',
    });
    expect(await readdir(join(cwd, 'data/tls'))).toEqual(['key.pem']);
    expect(await readFile(key, 'utf8')).toBe('mine');
    expect(await runCommand(['cert', '--dev', '--force'], { cwd })).toMatchObject({ code: 0 });
    expect(await readFile(key, 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    expect((await stat(key)).mode & 0o777).toBe(0o600);
  });

  it('says what it cannot write to', async () => {
    const cwd = await emptyFolder();
    await writeFile(join(cwd, 'data'), 'a file');
    const { code, err } = await runCommand(['cert', '--dev'], { cwd });
    expect({ code, err }).toMatchObject({ code: 1 });
    expect(err).toMatch(/^data\/tls cannot be written to: /);
  });

  it('is what serve takes: over TLS, for everything and for the relay alone', async () => {
    const cwd = await emptyFolder();
    await runCommand(['cert', '--dev'], { cwd });
    const tls = { cert: join(cwd, 'data/tls/cert.pem'), key: join(cwd, 'data/tls/key.pem') };
    const database = await testDatabases[0]!.create();
    onTestFinished(database.dispose);
    const server = await startServer(database, {
      KAIROIO_SERVER_LISTENERS: JSON.stringify([
        { port: 0, tls },
        { port: 0, api: 'relay', tls },
        { port: 0, api: 'kairoio' },
      ]),
    });
    const banner = server.output();
    const all = /Also +(https:\/\/localhost:\d+) +everything\n/.exec(banner)?.[1];
    const relay = /Also +(wss:\/\/localhost:\d+\/ws) +the relay alone\n/.exec(banner)?.[1];
    expect(banner).toMatch(/Also +http:\/\/localhost:\d+ +kairoio alone\n/);
    const ca = await readFile(tls.cert);
    const [ann, ben] = [await openCaller(relay!, { ca }), await openCaller(`${all}/ws`, { ca })];
    ann.ws.send('hello');
    expect(await ben.reach(1)).toEqual(['hello']);
    const idle = connect({ port: Number(new URL(all!).port), ca, servername: 'localhost' });
    await once(idle, 'secureConnect');
    idle.on('error', () => {});
    const startMs = performance.now();
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - startMs).toBeLessThan(5_000);
    expect((await ann.closed).code).toBe(1012);
  });
});

describe('fleetwire cert', () => {
  it('needs to be told that it is for trying things out', async () => {
    const { code, err } = await runCommand(['cert'], { cwd: await emptyFolder() });
    expect(code).toBe(2);
    expect(err).toContain("required option '--dev' not specified");
  });

  it('refuses what is no name', async () => {
    const cwd = await emptyFolder();
    const hosts = ['--host', 'a.example:8443', '--host', 'b, IP:10.0.0.1', '--host', 'c\n[x]'];
    const { code, err } = await runCommand(['cert', '--dev', ...hosts], { cwd });
    expect({ code, err }).toEqual({
      code: 2,
      err: '--host "a.example:8443", "b, IP:10.0.0.1", "c\\n[x]": write a name or an IP address, without a port\n',
    });
    expect(await readdir(cwd)).toEqual([]);
  });

  it('says what to do where there is no openssl', async () => {
    const cwd = await emptyFolder();
    const { code, out, err } = await runCommand(['cert', '--dev'], { cwd, env: { PATH: cwd } });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('There is no openssl command here');
    expect(await readdir(cwd, { recursive: true })).toEqual(['data', 'data/tls']);
  });

  it('explains itself', async () => {
    const { code, out } = await runCommand(['cert', '--help']);
    expect(code).toBe(0);
    for (const text of ['--dev', '--host <name>', '--out <folder>', '--force', 'openssl']) {
      expect(out).toContain(text);
    }
  });
});

describe('serve with listeners that cannot be', () => {
  it('names the files of a certificate that are not there', async () => {
    const listeners = [{ port: 0, tls: { cert: 'a.pem', key: 'b.pem' } }];
    const { code, err } = await runCommand(['serve'], {
      cwd: await emptyFolder(),
      env: { KAIROIO_SERVER_LISTENERS: JSON.stringify(listeners), KAIROIO_SERVER_PORT: '0' },
    });
    expect(code).toBe(1);
    expect(err).toContain('server.listeners, entry 1: a.pem: there is no such file');
    expect(err).toContain('fleetwire cert --dev');
  });

  it('names the port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const { code, err } = await runCommand(['serve'], {
      cwd: await emptyFolder(),
      env: {
        KAIROIO_SERVER_HOST: '127.0.0.1',
        KAIROIO_SERVER_PORT: '0',
        KAIROIO_SERVER_LISTENERS: JSON.stringify([{ port }]),
        KAIROIO_LOG_LEVEL: 'fatal',
      },
    });
    expect({ code, err }).toEqual({
      code: 1,
      err: `Port ${port} is taken; stop what uses it, or give server.listeners another\n`,
    });
  });
});
