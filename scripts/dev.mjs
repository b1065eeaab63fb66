import { run } from './run-step.mjs';
import { setUp } from './setup.mjs';

await setUp();

const { execPath, argv } = process;
const compiler = 'node_modules/typescript/bin/tsc';
await Promise.race([
  run([execPath, compiler, '-p', 'tsconfig.build.json', '--watch', '--preserveWatchOutput']),
  run([execPath, '--watch', '--watch-preserve-output', 'dist/main.js', 'serve', ...argv.slice(2)]),
]);
