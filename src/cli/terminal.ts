/** What the command line needs of the process, handed in by `main.ts`. */
export interface Terminal {
  out: Output;
  err: Output;
  env: Record<string, string | undefined>;
  /** Everything on standard input, when it is not a terminal. */
  readInput(): Promise<string>;
  /** Resolves with the name of the first signal that asks the program to stop. */
  stopSignal(): Promise<string>;
}

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** A problem that is told in one paragraph and ends the program. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;
  /** @param exitCode 1 when the work failed, 2 when what was asked for is wrong. */
  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}
