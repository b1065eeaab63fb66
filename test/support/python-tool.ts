import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

const CACHE = resolve(import.meta.dirname, '../../node_modules/.cache');
const INSTALL_LIMIT_MS = 240_000;
const run = promisify(execFile);

/**
 * The path of a program of a package of PyPI, in a virtual environment that keeps it for the next time; or why there
 * is none.
 */
export async function findPythonTool(
  name: string,
  version: string,
  program = name,
): Promise<{ path: string } | { unavailable: string }> {
  const folder = resolve(CACHE, `${name}-${version}`);
  const path = resolve(folder, 'bin', program);
  // A name of its own, since every virtual environment has a Python before it has the package.
  const done = resolve(folder, 'bin/pip-done');
  if (existsSync(done)) return { path };
  try {
    await run('python3', ['-m', 'venv', '--clear', folder], { timeout: INSTALL_LIMIT_MS });
    await run(resolve(folder, 'bin/pip'), ['install', '--quiet', `${name}==${version}`], {
      timeout: INSTALL_LIMIT_MS,
    });
    await run('touch', [done]);
    return { path };
  } catch (error) {
    const [reason] = String(error instanceof Error ? error.message : error).split('\n');
    return { unavailable: reason ?? 'it could not be installed' };
  }
}
