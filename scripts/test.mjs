import { run } from './run-step.mjs';
import { setUp } from './setup.mjs';

await setUp();
// Loaded after the set-up, as all that needs the dependencies. Tests that need the worker are skipped without it.
const { provideWorker } = await import('./media-worker/provide.mjs');
await provideWorker();

process.exitCode = await run([
  process.execPath,
  'node_modules/vitest/vitest.mjs',
  'run',
  ...process.argv.slice(2),
]);
