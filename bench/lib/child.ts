import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const STOP_LIMIT_MS = 15_000;
const OUTPUT_TAIL_CHARACTERS = 2000;

export interface ChildOptions {
  args: string[];
  cwd: string;
  env?: Record<string, string>;
  /** Where standard output and error go: to a file, as under a supervisor, so that nobody has to read a pipe. */
  outputPath: string;
}

/** One process with a message channel, ended by `stop` or `kill`, at the latest with the process that started it. */
export class Child {
  readonly process: ChildProcess;
  readonly #outputPath: string;
  readonly #exited: Promise<void>;

  constructor(options: ChildOptions) {
    const output = openSync(options.outputPath, 'a');
    try {
      this.process = spawn(process.execPath, options.args, {
        cwd: options.cwd,
        env: { ...cleanEnvironment(), ...options.env },
        stdio: ['ignore', output, output, 'ipc'],
      });
    } finally {
      closeSync(output);
    }
    this.#outputPath = options.outputPath;
    const killWithParent = (): void => {
      this.process.kill('SIGKILL');
    };
    process.once('exit', killWithParent);
    this.#exited = once(this.process, 'exit').then(() => {
      process.off('exit', killWithParent);
    });
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error('the process did not start');
    return this.process.pid;
  }

  /** Sends one message and waits for the one reply to it. Rejects when the process ends first, with its last words. */
  async ask<Answer>(question: object): Promise<Answer> {
    const answer = this.nextMessage<Answer>();
    this.process.send(question);
    return answer;
  }

  async nextMessage<Answer>(): Promise<Answer> {
    const waiting = new AbortController();
    try {
      return await Promise.race([
        once(this.process, 'message', { signal: waiting.signal }).then(([message]) => message),
        this.died(),
      ]);
    } finally {
      waiting.abort();
    }
  }

  /** Rejects when the process has ended; never resolves. */
  async died(): Promise<never> {
    await this.#exited;
    throw new Error(`a process ended by itself; its last words:\n${this.lastWords()}`);
  }

  lastWords(): string {
    return readFileSync(this.#outputPath, 'utf8').slice(-OUTPUT_TAIL_CHARACTERS);
  }

  /** Asks it to stop and waits until it is gone; one that does not obey is killed and reported. */
  async stop(): Promise<void> {
    if (this.#isGone()) return;
    let obeyed = true;
    const timer = setTimeout(() => {
      obeyed = false;
      this.process.kill('SIGKILL');
    }, STOP_LIMIT_MS);
    this.process.kill('SIGTERM');
    await this.#exited;
    clearTimeout(timer);
    if (!obeyed) throw new Error(`a process did not stop within ${STOP_LIMIT_MS / 1000} s`);
  }

  async kill(): Promise<void> {
    if (this.#isGone()) return;
    this.process.kill('SIGKILL');
    await this.#exited;
  }

  #isGone(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }
}

/** Arguments for node to run a TypeScript module of the benchmark. */
export function typescriptArgs(relativePath: string): string[] {
  return [
    '--import',
    import.meta.resolve('tsx'),
    fileURLToPath(new URL(`../${relativePath}`, import.meta.url)),
  ];
}

/** The settings of the person who runs the benchmark must not reach what is measured. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(KAIROIO|LIVEKIT)_|^NODE_OPTIONS$/.test(name),
    ),
  );
}
