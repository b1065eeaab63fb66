import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root, run, StepError, say, seconds } from './run-step.mjs';

const SRC = join(root, 'src');
const DIST = join(root, 'dist');
const STAMP = join(DIST, '.stamp');
const INPUTS = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

/**
 * Compiles src to dist when a source, a compiler setting or a dependency has changed since the last build.
 * Resolves to whether anything was done. A package without sources is taken as built.
 */
export async function ensureBuild() {
  if (!existsSync(SRC)) return false;
  const sources = filesUnder(SRC);
  const stamp = fingerprint([...INPUTS.map((name) => join(root, name)), ...sources]);
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === stamp) return false;

  const startedMs = performance.now();
  say('building (tsc)');
  rmSync(STAMP, { force: true });
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const code = await run([process.execPath, tsc, '-p', 'tsconfig.build.json'], {
    progress: (elapsed) => `still building (${elapsed})`,
  });
  if (code !== 0) throw new StepError(`the build failed: tsc ended with exit code ${code}`);
  removeOrphans(sources);
  writeFileSync(STAMP, stamp);
  say(`built in ${seconds(startedMs)}`);
  return true;
}

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

/** Names, sizes and times rather than contents: the check runs at every start. */
function fingerprint(paths) {
  const hash = createHash('sha256').update(process.version);
  for (const path of paths) {
    const { size, mtimeMs } = statSync(path);
    hash.update(`\n${relative(root, path)} ${size} ${mtimeMs}`);
  }
  return hash.digest('hex');
}

/** tsc leaves the output of a deleted source behind, where it would still be imported and packed. */
function removeOrphans(sources) {
  const wanted = new Set(sources.map((path) => relative(SRC, path).replace(/\.ts$/, '')));
  for (const path of filesUnder(DIST)) {
    const output = /^(.+?)(\.d\.ts|\.js)(\.map)?$/.exec(relative(DIST, path));
    if (output && !wanted.has(output[1])) rmSync(path);
  }
}
