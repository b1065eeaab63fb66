import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { onTestFinished } from 'vitest';

const MAIN = resolve(import.meta.dirname, '../../dist/main.js');

export interface RunningCommand {
  child: ChildProcess;
  /** Everything on the standard output so far. */
  out(): string;
  /** Everything on the error output so far. */
  err(): string;
  /** Resolves with the match once the standard output has it. @throws when the command ends without it. */
  says(pattern: RegExp): Promise<RegExpMatchArray>;
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

export interface CommandOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Goes to its standard input. */
  input?: string;
}

/** A program as a process of its own with a bare environment. Call it in a test: it is killed when that test ends. */
export function startProgram(
  program: string,
  args: readonly string[],
  { cwd, env, input = '' }: CommandOptions = {},
): RunningCommand {
  const { PATH, HOME } = process.env;
  const child = spawn(program, args, { cwd, env: { PATH, HOME, ...env } });
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  // One that ends early takes no input.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk;
  });
  return {
    child,
    out: () => out,
    err: () => err,
    ended,
    says: (pattern) =>
      new Promise((found, fail) => {
        const look = () => {
          const match = out.match(pattern);
          if (match) found(match);
        };
        child.stdout.on('data', look);
        child.once('close', () => fail(new Error(`It never said ${pattern}:\n${out}\n${err}`)));
        look();
      }),
  };
}

/** `fleetwire` with these arguments, as it was built. */
export function startCommand(args: readonly string[], options?: CommandOptions): RunningCommand {
  return startProgram(process.execPath, [MAIN, ...args], options);
}

/** A program run to its end. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options?: CommandOptions,
): Promise<{ code: number | null; out: string; err: string }> {
  const running = startProgram(program, args, options);
  await once(running.child, 'close');
  return { code: running.child.exitCode, out: running.out(), err: running.err() };
}

/** `fleetwire` with these arguments, run to its end. */
export function runCommand(args: readonly string[], options?: CommandOptions) {
  return runProgram(process.execPath, [MAIN, ...args], options);
}
