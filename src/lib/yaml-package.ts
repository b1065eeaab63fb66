import { createRequire } from 'node:module';

/** The `yaml` package, loaded for the first text that is read: most servers have no file in it and never get one. */
export function yamlPackage(): typeof import('yaml') {
  return createRequire(import.meta.url)('yaml');
}
