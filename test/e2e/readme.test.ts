import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runProgram, startProgram } from '../support/command.js';
import { testDatabases } from '../support/databases.js';
import { startServer } from '../support/server-process.js';

const root = resolve(import.meta.dirname, '../..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const HOST = 'localhost:8080';
const BREAK = '=== next block ===';

/** The code blocks of the README in order. `bash` runs, `json` is what the block before it answers, `ts` compiles and runs. */
const blocks = [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(
  ([, language = '', text = '']) => ({ language, text }),
);

function textOf(language: string, contains: string): string {
  const found = blocks.find(
    (block) => block.language === language && block.text.includes(contains),
  );
  if (!found) throw new Error(`The README has no ${language} block with "${contains}"`);
  return found.text;
}

/** Times of today and random ids, which differ with each run, made the same; the tour's own samples are older. */
function withoutNow(value: unknown): unknown {
  const text = JSON.stringify(value)
    .replace(/"20(?!26-01-25)[^"]*T[\d:.]+Z"/g, '"<now>"')
    .replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, '<id>');
  return JSON.parse(text);
}

async function freshServer() {
  const database = await testDatabases[0]!.create();
  onTestFinished(database.dispose);
  return startServer(database, { KAIROIO_FEATURES_RATE_LIMITING_ENABLED: 'true' });
}

describe('the README', () => {
  it('names in its code only what there is', () => {
    expect(blocks.map(({ language }) => language)).toEqual(
      expect.arrayContaining(['sh', 'bash', 'json', 'ts']),
    );
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const called = [...readme.matchAll(/npm (?:run (?:--silent )?)?(start|test|fleetwire)\b/g)];
    expect(new Set(called.map(([, name]) => name))).toEqual(
      new Set(['start', 'test', 'fleetwire']),
    );
    for (const [, name = ''] of called) expect(scripts).toHaveProperty(name);
    const links = [...readme.matchAll(/\]\((?!http)([^)#]+)\)/g)].map(([, path = '']) => path);
    expect(links.length).toBeGreaterThan(5);
    expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  it('has a tour with curl whose answers are those that it shows', async () => {
    const { url } = await freshServer();
    const tour = blocks.filter(
      ({ language, text }) =>
        language === 'json' || (language === 'bash' && !text.includes('npm run')),
    );
    const script: string[] = ['set -euo pipefail'];
    const expected: { answer: unknown; block: string }[] = [];
    for (const [index, { language, text }] of tour.entries()) {
      if (language === 'bash') script.push(text, `echo '${BREAK}'`);
      else expected.push({ answer: JSON.parse(text), block: tour[index - 1]?.text ?? '' });
    }
    expect(expected.length).toBeGreaterThanOrEqual(6);
    const run = await runProgram('bash', [
      '-c',
      script.join('\n').replaceAll(HOST, new URL(url).host),
    ]);
    expect(run).toMatchObject({ code: 0, err: '' });
    const answers = run.out
      .split(BREAK)
      .map((answer) => answer.trim())
      .filter((answer) => answer !== '')
      .map((answer) => JSON.parse(answer));
    expect(answers.map(withoutNow)).toEqual(expected.map(({ answer }) => withoutNow(answer)));
  });

  it('has robots that move, and TypeScript that watches them', async () => {
    const { url } = await freshServer();
    const simulate = textOf('bash', 'robot simulate');
    expect(simulate).toContain('--duration 60s');
    const seconds = simulate.replace('--duration 60s', '--duration 3s');
    const simulation = startProgram('bash', ['-c', seconds], {
      cwd: root,
      env: { FLEETWIRE_URL: url },
    });
    await simulation.says(/Driving 20 robots/);

    const folder = await mkdtemp(join(tmpdir(), 'fleetwire-readme-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const watcher = await compile(folder, textOf('ts', 'fleetwire/client'));
    const watching = startProgram(process.execPath, [watcher, url]);
    await watching.says(/^\d+ robots, \d+ of them online$/m);
    const [, robot, status, battery] = await watching.says(
      /^20\S+T\S+Z (sim-robot-0\d\d) (\w+) ([\d.]+) %$/m,
    );
    expect(robot).toBeDefined();
    expect(['active', 'idle', 'charging']).toContain(status);
    expect(Number(battery)).toBeGreaterThan(0);
    expect(watching.err()).toBe('');

    expect(await simulation.ended).toEqual({ code: 0, signal: null });
    expect(simulation.out()).toMatch(
      /Stopped after 3\.\d s\. 20 robots {2}sent \d+ {2}ok \d+ {2}failed 0/,
    );
  });

  it('shows the example as it is in examples/', () => {
    const example = readFileSync(join(root, 'examples/watch-status.ts'), 'utf8');
    expect(textOf('ts', 'fleetwire/client')).toBe(example);
    expect(example.trim().split('\n').length).toBeLessThanOrEqual(22);
  });
});

/** Compiles a program strictly against the built package, as a project that depends on it would; the file to run. */
async function compile(folder: string, source: string): Promise<string> {
  const modules = join(root, 'node_modules');
  await writeFile(join(folder, 'watch.ts'), source);
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        ...{ strict: true, target: 'ES2022', module: 'NodeNext', outDir: 'out' },
        ...{ skipLibCheck: true, types: ['node'], typeRoots: [join(modules, '@types')] },
      },
      files: ['watch.ts'],
    }),
  );
  await mkdir(join(folder, 'node_modules'));
  await symlink(root, join(folder, 'node_modules/fleetwire'));
  const tsc = join(modules, 'typescript/bin/tsc');
  const { code, out } = await runProgram(process.execPath, [tsc, '-p', folder]);
  expect({ code, out }).toEqual({ code: 0, out: '' });
  return join(folder, 'out/watch.js');
}
