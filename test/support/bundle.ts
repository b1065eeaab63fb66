import { build } from 'esbuild';

/** `entry` with all it imports, as a script for pages: a module, or one that leaves what it exports as the global `name`. */
export async function bundleForPages(entry: string, name?: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    ...(name === undefined ? { format: 'esm' } : { format: 'iife', globalName: name }),
    platform: 'browser',
    target: 'es2022',
    logLevel: 'silent',
  });
  return outputFiles[0]!.text;
}
