import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ensureBuild } from './build.mjs';
import { checkNode } from './check-node.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { StepError, say } from './run-step.mjs';

/**
 * Makes a fresh clone ready to run: dependencies, then the build. Costs milliseconds when both are up to date.
 * Ends the process with exit code 1 when a step fails.
 */
export async function setUp() {
  const startedMs = performance.now();
  checkNode();
  try {
    const installed = await ensureDependencies();
    const built = await ensureBuild();
    if (!installed && !built) {
      const elapsedMs = Math.round(performance.now() - startedMs);
      say(`Node ${process.versions.node}, dependencies and build up to date (${elapsedMs} ms)`);
    }
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    console.error(`fleetwire: ${error.message}`);
    process.exit(1);
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await setUp();
}
