import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp } from '../app.js';
import { loadConfig } from '../config.js';
import { createLogger } from '../lib/logger.js';
import { openapiJson } from '../rest-adapter/openapi.js';
import { readVersion } from './load.js';
import type { Terminal } from './terminal.js';

/** Prints the OpenAPI document, or writes it to a file. It comes from a server's own routes, on a database thrown away. */
export async function printOpenapi(
  terminal: Terminal,
  options: { write?: string | true },
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fleetwire-openapi-'));
  const env = { KAIROIO_DATABASE_DSN: join(folder, 'fleetwire.db') };
  const { config } = loadConfig({ env });
  const app = await createApp({
    config,
    log: createLogger('silent', { write: () => {} }),
    version: readVersion(),
  });
  try {
    const text = await openapiJson(app.server);
    if (options.write === undefined) {
      terminal.out.write(text);
    } else {
      const path = options.write === true ? 'openapi.json' : options.write;
      writeFileSync(path, text);
      terminal.out.write(`${path} written\n`);
    }
  } finally {
    await app.close();
    rmSync(folder, { recursive: true });
  }
}
