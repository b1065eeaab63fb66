import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../../src');

/** What each folder of src may import besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  lib: [],
  contract: ['lib'],
  db: ['lib', 'contract'],
  realtime: ['lib', 'contract'],
  media: ['lib', 'contract'],
  services: ['lib', 'contract', 'db', 'realtime', 'media/provider'],
  routers: ['lib', 'contract', 'db', 'realtime', 'services', 'media/provider'],
  'rest-adapter': ['lib', 'contract', 'db', 'realtime', 'services', 'routers', 'media/provider'],
  http: [
    ...['lib', 'contract', 'db', 'realtime', 'services', 'routers', 'rest-adapter'],
    'media/provider',
  ],
  client: ['lib', 'contract', 'routers as types'],
  simulator: ['lib', 'contract'],
  config: ['lib'],
  app: [
    ...['lib', 'contract', 'db', 'realtime', 'media', 'services', 'routers', 'rest-adapter'],
    ...['http', 'config'],
  ],
  cli: [
    ...['lib', 'contract', 'db', 'realtime', 'media', 'services', 'routers', 'rest-adapter'],
    ...['http', 'client', 'simulator', 'config', 'app'],
  ],
  main: ['lib', 'contract', 'config', 'app', 'cli'],
};

const IMPORT =
  /\b(?:import|export)\b(\s+type\b)?[^'";]*?\bfrom\s*['"](\.[^'"]+)['"]|\bimport\s*\(?\s*['"](\.[^'"]+)['"]/g;
const DIALECT_BRANCH =
  /[!=]==?\s*['"](?:sqlite|postgres)['"]|['"](?:sqlite|postgres)['"]\s*[!=]==?|case\s+['"](?:sqlite|postgres)['"]|\bdialect\s*[!=]==?|\[(?:\w+\.)*dialect\]/;
const PROCESS = /(?<![\w.$])(?:globalThis\.)?process(?:\.[a-z]|\?\.|\[)|['"](?:node:)?process['"]/;

function layerOf(path: string): string {
  return path.split('/')[0]!.replace(/\.ts$/, '');
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

/** Everything wrong with one file; `path` is relative to src, with slashes. */
function violations(path: string, source: string): string[] {
  const found: string[] = [];
  const text = withoutComments(source);
  const layer = layerOf(path);
  const allowed = MAY_IMPORT[layer];
  if (!allowed) return [`${path}: src/${layer} has no rule here; say what it may import`];

  for (const [, type, from, bare] of text.matchAll(IMPORT)) {
    const target = normalize(join(dirname(path), from ?? bare ?? ''))
      .split(sep)
      .join('/');
    const to = layerOf(target.replace(/\.js$/, ''));
    const fine =
      to === layer ||
      allowed.includes(to) ||
      allowed.includes(target.replace(/\.js$/, '')) ||
      (type !== undefined && (to === 'config' || allowed.includes(`${to} as types`)));
    if (!fine) found.push(`${path} must not import ${target}${type ? ' (type)' : ''}`);
  }
  if (!['db', 'config'].includes(layer) && DIALECT_BRANCH.test(text)) {
    found.push(`${path} branches on the SQL dialect; that belongs to src/db`);
  }
  if (path !== 'main.ts' && PROCESS.test(text)) found.push(`${path} touches process`);
  return found;
}

describe('layering', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => relative(SRC, join(SRC, name)).split(sep).join('/'));

  it('holds in every file of src', () => {
    expect(files.length).toBeGreaterThan(5);
    expect(
      files.flatMap((path) => violations(path, readFileSync(join(SRC, path), 'utf8'))),
    ).toEqual([]);
  });

  it.each([
    ['lib/a.ts', `import { x } from '../contract/common.js';`],
    ['contract/a.ts', `import type { Db } from '../db/client.js';`],
    ['db/repositories/a.ts', `import { hub } from '../../realtime/hub.js';`],
    ['realtime/a.ts', `import { db } from '../db/client.js';`],
    ['media/mediasoup/a.ts', `import { s } from '../../services/rooms.js';`],
    ['services/a.ts', `import { Rooms } from '../media/mediasoup/rooms.js';`],
    ['services/a.ts', `import {\n  a,\n  b,\n} from '../routers/index.js';`],
    ['services/a.ts', `export * from '../http/server.js';`],
    ['services/a.ts', `const lazy = await import('../routers/index.js');`],
    ['services/a.ts', `type Lazy = import('../routers/index.js').AppRouter;`],
    ['services/a.ts', `import { loadConfig } from '../config.js';`],
    ['routers/a.ts', `import '../http/server.js';`],
    ['rest-adapter/surfaces/a.ts', `import { server } from '../../http/server.js';`],
    ['http/a.ts', `import { createApp } from '../app.js';`],
    ['client/a.ts', `import { appRouter } from '../routers/index.js';`],
    ['app.ts', `import { serve } from './cli/serve.js';`],
    ['simulator/a.ts', `import { createApp } from '../app.js';`],
    ['services/a.ts', `import { simulate } from '../simulator/simulation.js';`],
    ['cli/a.ts', `import { main } from '../main.js';`],
    ['somewhere-new/a.ts', ''],
    ['services/a.ts', `if (db.dialect === 'sqlite') fast();`],
    ['services/a.ts', `switch (kind) { case 'postgres': break; }`],
    ['http/a.ts', `const port = process.env.PORT;`],
    ['http/a.ts', `const port = globalThis.process.env['PORT'];`],
    ['http/a.ts', `import { env } from 'node:process';`],
  ])('is broken by %s with %s', (path, source) => {
    expect(violations(path, source)).toHaveLength(1);
  });

  it.each([
    ['db/client.ts', `import type { Config } from '../config.js';`],
    ['db/repositories/a.ts', `import { sql } from '../dialect.js';`],
    ['db/client.ts', `if (config.type === 'sqlite') open();`],
    ['services/a.ts', `import type { MediaProvider } from '../media/provider.js';`],
    ['client/index.ts', `import type { AppRouter } from '../routers/index.js';`],
    ['http/a.ts', `import { register } from '../rest-adapter/register.js';`],
    ['main.ts', `const port = process.env.PORT;`],
    ['lib/a.ts', `/** It keeps no process.alive */ const process_id = row.process.id;`],
  ])('is kept by %s with %s', (path, source) => {
    expect(violations(path, source)).toEqual([]);
  });
});
