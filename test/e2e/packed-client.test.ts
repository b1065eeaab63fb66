import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { workerProblem } from '../../src/media/mediasoup/worker-binary.js';
import { browserProblem, useBrowser } from '../support/browser.js';
import { bundleForPages } from '../support/bundle.js';
import { hasFfmpeg } from '../support/media.js';
import { until } from '../support/until.js';
import { makeKey, startVideo } from '../support/video.js';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const tsc = join(root, 'node_modules/typescript/bin/tsc');

let consumer: string;
const children: ChildProcess[] = [];

/** A project beside the repository that has nothing but the packed tarball and its production dependencies. */
beforeAll(async () => {
  consumer = await mkdtemp(join(tmpdir(), 'fleetwire-consumer-'));
  const modules = join(consumer, 'node_modules');
  await mkdir(modules);
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', consumer], { cwd: root });
  const tarball = (await readdir(consumer)).find((name) => name.endsWith('.tgz'));
  if (!tarball) throw new Error('npm pack made no tarball');
  await run('tar', ['xzf', join(consumer, tarball), '-C', consumer]);
  await cp(join(consumer, 'package'), join(modules, 'fleetwire'), { recursive: true });
  for (const name of await productionPackages()) await linkModule(modules, name);
  for (const file of ['watch.ts', 'types.ts']) {
    await cp(join(import.meta.dirname, 'fixtures', file), join(consumer, file));
  }
  await cp(join(root, 'examples/dashboard-video.ts'), join(consumer, 'dashboard-video.ts'));
  await writeFile(join(consumer, 'package.json'), '{ "type": "module", "private": true }');
});

afterAll(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  await rm(consumer, { recursive: true, force: true });
});

/** The packages that an installation for production puts directly under node_modules. */
async function productionPackages(): Promise<string[]> {
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  return (
    Object.entries(lock.packages)
      // Optional ones where they are for this machine: npm installs those too.
      .filter(([path, { dev }]) => !dev && existsSync(join(root, path)))
      .map(([path]) => /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path)?.[1])
      .filter((name) => name !== undefined)
  );
}

async function linkModule(modules: string, name: string): Promise<void> {
  const path = join(modules, name);
  await mkdir(dirname(path), { recursive: true });
  await symlink(join(root, 'node_modules', name), path);
}

/** Compiles a consumer; the compiler's complaints, or an empty text. */
async function compile(file: string, compilerOptions: Record<string, unknown>): Promise<string> {
  const project = join(consumer, `tsconfig.${file}.json`);
  const settings = { strict: true, target: 'ES2022', outDir: 'out', preserveSymlinks: true };
  await writeFile(
    project,
    JSON.stringify({ compilerOptions: { ...settings, ...compilerOptions }, files: [file] }),
  );
  return run(process.execPath, [tsc, '-p', project], { cwd: consumer }).then(
    () => '',
    (error: { stdout: string }) => error.stdout,
  );
}

const NODE = { module: 'NodeNext', moduleResolution: 'NodeNext' };
const BROWSER = {
  module: 'ESNext',
  moduleResolution: 'bundler',
  types: [],
  lib: ['ES2022', 'DOM'],
};
const problem =
  browserProblem ??
  workerProblem(process.env.MEDIASOUP_WORKER_BIN) ??
  (hasFfmpeg ? undefined : 'ffmpeg is not installed');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

/** A server in its own process with an empty database. */
async function startServer(): Promise<string> {
  const port = await freePort();
  const child = spawn(process.execPath, [join(root, 'dist/main.js'), 'serve'], {
    cwd: consumer,
    env: {
      ...process.env,
      KAIROIO_SERVER_HOST: '127.0.0.1',
      KAIROIO_SERVER_PORT: String(port),
      KAIROIO_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('is up')) break;
  }
  child.stdout.resume();
  return `http://127.0.0.1:${port}`;
}

describe('the packed client', () => {
  it('imports nothing of the server when it runs', async () => {
    const dist = join(consumer, 'node_modules/fleetwire/dist/client');
    const transform = await readFile(join(dist, '../lib/map-transform.js'), 'utf8');
    expect(transform).not.toMatch(/\bimport\b/);
    const imported = new Set<string>();
    for (const file of (await readdir(dist)).filter((name) => name.endsWith('.js'))) {
      const text = await readFile(join(dist, file), 'utf8');
      for (const [, name] of text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g))
        imported.add(name ?? '');
    }
    expect([...imported].sort()).toEqual([
      // Pure, and itself without any import.
      '../lib/map-transform.js',
      './errors.js',
      './live-link.js',
      './room-connection.js',
      './room-publications.js',
      './room-tracks.js',
      './room.js',
      './urls.js',
      '@trpc/client',
      '@trpc/server/observable',
      'mediasoup-client',
      'ws',
    ]);
  });

  it('gives a browser project full inference', async () => {
    expect(await compile('types.ts', { ...BROWSER, skipLibCheck: true, noEmit: true })).toBe('');
  });

  it('gives a Node project full inference, with every declaration of ours and of our dependencies checked', async () => {
    expect(await compile('types.ts', { ...NODE, skipLibCheck: false, noEmit: true })).toBe('');
  });

  it('compiles and runs a consumer that watches a robot', async () => {
    expect(await compile('watch.ts', { ...NODE, skipLibCheck: false })).toBe('');
    const url = await startServer();
    const request = async (method: string, path: string, body: unknown, token?: string) => {
      const response = await fetch(`${url}/api/v1${path}`, {
        method,
        headers: {
          'content-type': 'application/json',
          ...(token && { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify(body),
      });
      if (!response.ok)
        throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as { data: { certification_key: string } };
    };
    const login = await request('POST', '/auth/login', {
      username: 'kairoio',
      password: 'kairoio',
    });
    const token = login.data.certification_key;
    await request('POST', '/robots', { robot_id: 'r 1', robot_type: 'mobile_robot' }, token);

    const watcher = spawn(process.execPath, [join(consumer, 'out/watch.js'), url, 'r 1'], {
      cwd: consumer,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(watcher);
    const exited = once(watcher, 'exit');
    const lines: string[] = [];
    for await (const line of createInterface({ input: watcher.stdout })) {
      lines.push(line);
      const next = [50, 0][lines.length - 1];
      if (next !== undefined) {
        await request('POST', '/robots/r%201/status', { status: { battery_level: next } }, token);
      }
    }
    expect((await exited)[0]).toBe(0);
    expect(lines[0]).toBe('watching');
    expect(lines.slice(1, -1).map((line) => JSON.parse(line))).toEqual([
      { robot_id: 'r 1', battery: 50, received_at: expect.stringMatching(/T.*Z$/), skipped: 0 },
      { robot_id: 'r 1', battery: 0, received_at: expect.stringMatching(/T.*Z$/), skipped: 0 },
    ]);
    expect(lines.at(-1)).toBe('done');
  });

  it('loads mediasoup-client for those alone who enter a room', async () => {
    const dist = join(consumer, 'node_modules/fleetwire/dist/client');
    const files = (await readdir(dist)).filter((name) => name.endsWith('.js'));
    const texts = await Promise.all(files.map((file) => readFile(join(dist, file), 'utf8')));
    const mentions = texts.flatMap((text) => text.match(/.*'mediasoup-client'.*/g) ?? []);
    expect(mentions).toEqual([expect.stringContaining("await import('mediasoup-client')")]);
  });

  describe.skipIf(problem)(`and the dashboard${problem ? ` (skipped: ${problem})` : ''}`, () => {
    const newPage = useBrowser();

    it('shows a robot that ffmpeg sends for, and its next start', async () => {
      expect(await compile('dashboard-video.ts', { ...BROWSER, noEmit: true })).toBe('');
      const { app, robotKey } = await startVideo({ config: { media: { plain_rtp: true } } });
      const key = await makeKey(app, { scopes: ['robots:read', 'video:watch'] });
      const page = await newPage();
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(error.message));
      const hash = new URLSearchParams({ url: app.url, robot: 'r1', key }).toString();
      await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
      const content = await bundleForPages(join(consumer, 'dashboard-video.ts'));
      await page.addScriptTag({ content, type: 'module' });
      await until(
        'the dashboard',
        async () => (await page.textContent('h1')) === 'r1 (cart): 1 here',
      );

      const frames = () =>
        page.evaluate(
          "[...document.querySelectorAll('video')].map((video) => [video.title, video.videoWidth, video.getVideoPlaybackQuality().totalVideoFrames])",
        ) as Promise<[title: string, width: number, frames: number][]>;
      const shows = async () => {
        const shown = await frames();
        return shown.length === 1 && shown[0]![1] > 0 && shown[0]![2] > 20 && shown[0];
      };
      for (const label of ['front', 'again']) {
        const asked = { kind: 'video', codec: 'VP8', label };
        const { json } = await app.call('POST', '/api/v1/robots/r1/rtp', asked, robotKey);
        const camera = spawn('sh', ['-c', `exec ${json.data.ffmpeg}`], { stdio: 'ignore' });
        onTestFinished(() => void camera.kill('SIGKILL'));
        expect((await until(`the camera ${label}`, shows))[0]).toBe(label);
        expect(await page.textContent('h1')).toBe('r1 (cart): 2 here');
        camera.kill('SIGKILL');
        const track = `/api/v1/robots/r1/rtp/${json.data.track_id}`;
        await app.call('DELETE', track, undefined, robotKey);
        await until('its end', async () => (await frames()).length === 0);
      }
      expect(errors).toEqual([]);
    }, 60_000);
  });
});
