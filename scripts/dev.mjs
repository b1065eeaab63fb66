import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { join } from 'node:path';
import { ensureBuild } from './build.mjs';
import { provideInBackground } from './media-worker/background.mjs';
import { root, StepError, say } from './run-step.mjs';
import { setUp } from './setup.mjs';

/** Editors write a file in several steps; the build waits until they are done. */
const QUIET_MS = 150;

await setUp();
provideInBackground();

let server = start();
let building = Promise.resolve();
let timer;

// Not `tsc --watch`: that of TypeScript 7.0 misses changes.
const sources = watch(join(root, 'src'), { recursive: true }, () => {
  clearTimeout(timer);
  timer = setTimeout(() => {
    building = building.then(rebuild);
  }, QUIET_MS);
});
process.once('SIGTERM', () => end('SIGTERM'));
// Ctrl-C reaches the server by itself.
process.once('SIGINT', () => end());

function start() {
  const child = spawn(process.execPath, ['dist/main.js', 'serve', ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
  });
  const ended = once(child, 'exit');
  return { child, ended };
}

/** A build that fails leaves the old server running. */
async function rebuild() {
  try {
    if (!(await ensureBuild())) return;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    say(error.message);
    return;
  }
  server.child.kill('SIGTERM');
  await server.ended;
  server = start();
}

async function end(signal) {
  sources.close();
  clearTimeout(timer);
  await building;
  if (signal) server.child.kill(signal);
  await server.ended;
}
