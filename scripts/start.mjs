import { fileURLToPath } from 'node:url';
import { checkNode } from './check-node.mjs';

const PARENT_CHECK_MS = 250;

checkNode();

// Loaded after the check, so that an old Node meets no syntax that it cannot parse.
const { setUp } = await import('./setup.mjs');
await setUp();
const { provideInBackground } = await import('./media-worker/background.mjs');
provideInBackground();

// The server runs in this process, so that Ctrl-C and SIGTERM reach it directly.
const main = new URL('../dist/main.js', import.meta.url);
process.argv = [process.execPath, fileURLToPath(main), 'serve', ...process.argv.slice(2)];
if (process.env.npm_lifecycle_event === 'start') stopWithParent();
await import(main.href);

/** npm passes SIGTERM to its shell alone, which dies without telling us; the server would stay behind as an orphan. */
function stopWithParent() {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, PARENT_CHECK_MS);
  timer.unref();
}
