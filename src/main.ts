#!/usr/bin/env node
import { text } from 'node:stream/consumers';
import { CommanderError } from 'commander';
import { createProgram } from './cli/program.js';
import { CommandError, type Terminal } from './cli/terminal.js';

const terminal: Terminal = {
  out: process.stdout,
  err: process.stderr,
  env: process.env,
  readInput: () => text(process.stdin),
  stopSignal: () =>
    new Promise((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        process.once(signal, () => resolve(signal));
      }
    }),
};

// `fleetwire openapi | head` is over when its reader is; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

process.exitCode = await run(process.argv);

async function run(argv: string[]): Promise<number> {
  try {
    await createProgram(terminal).parseAsync(argv);
    return 0;
  } catch (error) {
    // Commander has printed its own complaint, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (!(error instanceof CommandError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
}
