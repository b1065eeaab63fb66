import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir, release } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, say, seconds } from '../run-step.mjs';
import { buildWorker, PACKAGES, toolVersions } from './build.mjs';

const PACKAGE = join(root, 'node_modules/mediasoup');
const SELF_TEST = fileURLToPath(new URL('self-test.mjs', import.meta.url));
/** Where mediasoup looks when it is told nothing. */
const PLACE = join(PACKAGE, 'worker/out/Release/mediasoup-worker');
const TESTED = `${PLACE}.tested`;
const DOWNLOAD_LIMIT_MS = 10_000;
/** After this, what was asked to end ends anyhow. */
const END_LIMIT_MS = 2_000;

/** By Ctrl-C, or because the server it runs beside has ended: nobody needs to be told what is missing then. */
let isInterrupted = false;

/**
 * Puts mediasoup's worker, which npm does not install, where mediasoup looks for it: what is there already, else
 * upstream's ready-made one, else one compiled here. Costs a millisecond once it is there. Never throws.
 * @returns {Promise<boolean>} whether video will work
 */
export async function provideWorker() {
  if (isProvided()) return true;
  if (!existsSync(PACKAGE)) return false;
  const startedMs = performance.now();
  for (const [what, find] of [
    ['the one that is there', async () => (existsSync(PLACE) ? PLACE : undefined)],
    ['upstream’s ready-made one', download],
    ['one compiled here', compile],
  ]) {
    const found = await find().catch((error) => {
      if (!isInterrupted) say(`video: ${error.message}`);
    });
    if (isInterrupted) return false;
    if (!found) continue;
    if (!passes(found)) {
      say(`video: mediasoup's worker, ${what}, fails its self test`);
      continue;
    }
    put(found);
    say(`video: mediasoup's worker is ready, ${what} (${seconds(startedMs)})`);
    return true;
  }
  say(
    'video rooms stay off, all else works: there is no mediasoup worker. It could not be downloaded\n' +
      '  (github.com/versatica/mediasoup/releases) and not be compiled. On Debian or Ubuntu this helps:\n' +
      `  apt-get install ${PACKAGES.join(' ')}\n` +
      '  Or set MEDIASOUP_WORKER_BIN to a worker of the same version.',
  );
  return false;
}

/** Whether there is nothing to do; costs a millisecond. */
export function isProvided() {
  const given = process.env.MEDIASOUP_WORKER_BIN;
  return (given && existsSync(given)) || isTested();
}

/** The stamp holds good for this very file. */
function isTested() {
  return existsSync(PLACE) && existsSync(TESTED) && readFileSync(TESTED, 'utf8') === stampOf(PLACE);
}

function stampOf(path) {
  const { size, mtimeMs } = statSync(path);
  return `${version()} ${size} ${mtimeMs}\n`;
}

function put(path) {
  if (path !== PLACE) {
    mkdirSync(dirname(PLACE), { recursive: true });
    copyFileSync(path, `${PLACE}.new`);
    chmodSync(`${PLACE}.new`, 0o755);
    renameSync(`${PLACE}.new`, PLACE);
  }
  writeFileSync(TESTED, stampOf(PLACE));
}

function passes(path) {
  const env = { ...process.env, MEDIASOUP_WORKER_BIN: path };
  const { status } = spawnSync(process.execPath, [SELF_TEST], { cwd: root, env, stdio: 'inherit' });
  return status === 0;
}

function version() {
  return JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')).version;
}

/** The archive that mediasoup's own install script would take. */
async function download() {
  const kernel = process.platform === 'linux' ? `-kernel${release().split('.')[0]}` : '';
  const name = `mediasoup-worker-${version()}-${process.platform}-${process.arch}${kernel}.tgz`;
  const url = `https://github.com/versatica/mediasoup/releases/download/${version()}/${name}`;
  const folder = mkdtempSync(join(cacheFolder(), 'download-'));
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_LIMIT_MS) });
    if (!answer.ok) return undefined;
    writeFileSync(join(folder, name), Buffer.from(await answer.arrayBuffer()));
    if (spawnSync('tar', ['-xzf', name], { cwd: folder }).status !== 0) return undefined;
    return keep(join(folder, 'mediasoup-worker'), `prebuilt-${version()}${kernel}`);
  } catch {
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function compile() {
  const versions = toolVersions() ?? installTools();
  if (!versions) return undefined;
  const recipe = readFileSync(fileURLToPath(new URL('build.mjs', import.meta.url)));
  const key = createHash('sha256').update(versions.join('\n')).update(recipe).digest('hex');
  const name = `${version()}-${process.arch}-${key.slice(0, 16)}`;
  const cached = join(cacheFolder(), name);
  if (existsSync(cached)) return cached;
  const folder = join(cacheFolder(), `build-${name}`);
  const built = await buildWorker(join(PACKAGE, 'worker'), folder, say);
  const kept = keep(built, name);
  rmSync(folder, { recursive: true, force: true });
  return kept;
}

/** As root on Debian or Ubuntu the missing packages are installed; anybody else is told. */
function installTools() {
  const isDebian = spawnSync('apt-get', ['--version']).status === 0;
  if (process.getuid?.() !== 0 || !isDebian) return undefined;
  say(`video: installing what mediasoup's worker is compiled with: ${PACKAGES.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = { env, stdio: ['ignore', 'ignore', 'inherit'] };
  spawnSync('apt-get', ['update', '-qq'], quiet);
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...PACKAGES], quiet);
  return toolVersions();
}

/** Outside of node_modules, so that the next `npm ci` does not compile again. */
function cacheFolder() {
  const base = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folder = join(base, 'fleetwire/mediasoup-worker');
  mkdirSync(folder, { recursive: true });
  return folder;
}

function keep(path, name) {
  const kept = join(cacheFolder(), name);
  copyFileSync(path, `${kept}.new`);
  chmodSync(`${kept}.new`, 0o755);
  renameSync(`${kept}.new`, kept);
  return kept;
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      isInterrupted = true;
      setTimeout(() => process.exit(1), END_LIMIT_MS).unref();
    });
  }
  process.exitCode = (await provideWorker()) ? 0 : 1;
}
