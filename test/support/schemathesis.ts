import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

const VERSION = '4.32.5';
const CACHE = resolve(import.meta.dirname, `../../node_modules/.cache/schemathesis-${VERSION}`);
const INSTALL_LIMIT_MS = 240_000;
const run = promisify(execFile);

/** The path of schemathesis, installed from PyPI on first use; or why there is none. */
export async function findSchemathesis(): Promise<{ path: string } | { unavailable: string }> {
  const path = resolve(CACHE, 'bin/schemathesis');
  if (existsSync(path)) return { path };
  try {
    await run('python3', ['-m', 'venv', '--clear', CACHE], { timeout: INSTALL_LIMIT_MS });
    await run(resolve(CACHE, 'bin/pip'), ['install', '--quiet', `schemathesis==${VERSION}`], {
      timeout: INSTALL_LIMIT_MS,
    });
    return { path };
  } catch (error) {
    const [reason] = String(error instanceof Error ? error.message : error).split('\n');
    return { unavailable: reason ?? 'it could not be installed' };
  }
}
