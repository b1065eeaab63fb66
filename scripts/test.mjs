import { run } from './run-step.mjs';
import { setUp } from './setup.mjs';

await setUp();

process.exitCode = await run([
  process.execPath,
  'node_modules/vitest/vitest.mjs',
  'run',
  ...process.argv.slice(2),
]);
