import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

const HEARTBEAT_MS = 10_000;

/** A step of the set-up that failed; its message is all the user needs. */
export class StepError extends Error {
  name = 'StepError';
}

export function say(line) {
  console.log(`fleetwire: ${line}`);
}

export function seconds(sinceMs) {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}

/**
 * Runs a command in the project folder with its output shown, and with `progress` a line every 10 s.
 * Resolves to the exit code; a command ended by a signal counts as failed. SIGTERM is passed on; Ctrl-C reaches the
 * command by itself, so it is only waited for.
 * @param {string[]} command
 * @param {{ env?: NodeJS.ProcessEnv, progress?: (elapsed: string) => string }} [options]
 */
export async function run(command, { env = process.env, progress } = {}) {
  const startedMs = performance.now();
  const child = spawn(command[0], command.slice(1), {
    cwd: root,
    env,
    stdio: 'inherit',
    shell: process.platform === 'win32' && command[0] === 'npm',
  });
  const heartbeat = progress && setInterval(() => say(progress(seconds(startedMs))), HEARTBEAT_MS);
  const terminate = () => child.kill('SIGTERM');
  const wait = () => {};
  process.on('SIGTERM', terminate).on('SIGINT', wait);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', (error) =>
        reject(new StepError(`could not run ${command[0]}: ${error.message}`)),
      );
      child.once('close', (code) => resolve(code ?? 1));
    });
  } finally {
    clearInterval(heartbeat);
    process.off('SIGTERM', terminate).off('SIGINT', wait);
  }
}
