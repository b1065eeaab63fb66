import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { root } from '../run-step.mjs';
import { isProvided } from './provide.mjs';

const PROVIDE = fileURLToPath(new URL('provide.mjs', import.meta.url));

/**
 * Provides the worker in a process of its own, with its progress shown, while the server already serves; video switches on
 * when it is done. Whatever becomes of it, the server goes on. It ends with this process.
 */
export function provideInBackground() {
  const isOff = ['false', '0'].includes(process.env.KAIROIO_MEDIA_ENABLED);
  if (isOff || isProvided()) return;
  const child = spawn(process.execPath, [PROVIDE], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  child.on('error', (error) => console.error(`fleetwire: video: ${error.message}`));
  child.unref();
  const end = () => child.kill();
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
}
