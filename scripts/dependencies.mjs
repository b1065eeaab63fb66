import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root, run, StepError, say, seconds } from './run-step.mjs';

const LOCK = join(root, 'package-lock.json');
const INSTALLED = join(root, 'node_modules/.package-lock.json');
const STAMP = join(root, 'node_modules/.fleetwire-lock');
/** Made by an install script: missing after `npm ci --ignore-scripts`. */
const COMPILED = join(root, 'node_modules/better-sqlite3/build/Release/better_sqlite3.node');

/**
 * Installs what package-lock.json names, and only when node_modules does not hold it already.
 * Resolves to whether anything was done.
 */
export async function ensureDependencies() {
  const lock = readFileSync(LOCK, 'utf8');
  const runtime = `abi-${process.versions.modules}-${process.platform}-${process.arch}`;
  const stamp = `${createHash('sha256').update(lock).digest('hex')} ${runtime}\n`;
  const stamped = readIfPresent(STAMP);
  if (stamped === stamp) return false;

  const packages = JSON.parse(lock).packages;
  const sameRuntime = stamped === undefined || stamped.endsWith(` ${runtime}\n`);
  const [args, why] = plan(packages, sameRuntime);
  if (args) await install(args, why, packages);
  writeFileSync(STAMP, stamp);
  return Boolean(args);
}

/** The gentlest npm command that makes node_modules right; none when somebody else installed it already. */
function plan(packages, sameRuntime) {
  const installed = JSON.parse(readIfPresent(INSTALLED) ?? 'null')?.packages;
  if (!installed) return [['ci', '--include=dev'], 'first run, one or two minutes'];
  const stale = Object.entries(packages).some(([path, wanted]) => {
    if (path === '') return false;
    const version = installed[path]?.version;
    return version === undefined ? !wanted.optional : version !== wanted.version;
  });
  if (stale) return [['install', '--no-save', '--include=dev'], 'package-lock.json has changed'];
  if (!sameRuntime) return [['rebuild'], 'Node has changed, native parts must fit it'];
  if (!existsSync(COMPILED)) return [['rebuild'], 'native parts are missing'];
  return [];
}

async function install(args, why, packages) {
  const startedMs = performance.now();
  const wanted = Object.keys(packages).filter((path) => path && !packages[path].optional);
  say(`installing dependencies (npm ${args[0]}): ${why}`);
  const code = await run([...npmCommand(), ...args, '--no-audit', '--no-fund'], {
    env: installEnvironment(),
    progress(elapsed) {
      const present = wanted.filter((path) => existsSync(join(root, path))).length;
      return present < wanted.length
        ? `still installing, ${present} of ${wanted.length} packages unpacked (${elapsed})`
        : `all packages unpacked, native parts are being built where no ready binary exists (${elapsed})`;
    },
  });
  if (code !== 0) {
    throw new StepError(
      `npm ${args[0]} failed with exit code ${code}; its output above says why.\n` +
        '  A compile error of better-sqlite3 means that python3, make or g++ is missing\n' +
        '  (Debian, Ubuntu: apt-get install build-essential python3).',
    );
  }
  say(`dependencies installed in ${seconds(startedMs)}`);
}

/** The npm that runs us, else the one on the path. */
function npmCommand() {
  const cli = process.env.npm_execpath;
  return cli?.endsWith('npm-cli.js') ? [process.execPath, cli] : ['npm'];
}

function installEnvironment() {
  const env = { ...process.env };
  // mediasoup's install script downloads its worker from GitHub or builds it, unless this is set. npm 11 denies the
  // script through "allowScripts"; older npm knows no such list.
  env.MEDIASOUP_WORKER_BIN ??= 'provided-by-set-up';
  // node-gyp downloads Node's headers unless it is told where they are. New npm warns about the first spelling, old
  // npm does not know the second.
  const nodeDir = join(dirname(process.execPath), '..');
  if (existsSync(join(nodeDir, 'include/node/node.h'))) {
    const npmMajor = Number(/^npm\/(\d+)/.exec(env.npm_config_user_agent ?? '')?.[1] ?? 0);
    if (npmMajor < 11) env.npm_config_nodedir ??= nodeDir;
    else env.npm_package_config_node_gyp_nodedir ??= nodeDir;
  }
  return env;
}

function readIfPresent(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}
