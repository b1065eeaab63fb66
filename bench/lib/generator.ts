import { join } from 'node:path';
import type { GeneratorReply, Job, RunResult, Workload } from '../generator/job.js';
import { Child, typescriptArgs } from './child.js';

export interface LoadOptions {
  port: number;
  connections: number;
  durationMs: number;
  workload: Workload;
  /** Requests per second; without it each connection sends as fast as it is answered. */
  rate?: number;
  untilDeath?: boolean;
}

/** The process that makes the load. Sequence numbers go on from run to run, so that no status is sent twice. */
export class Generator {
  readonly #child: Child;
  #nextSequence = 1;

  constructor(directory: string, name = 'generator') {
    this.#child = new Child({
      args: typescriptArgs('generator/main.ts'),
      cwd: directory,
      outputPath: join(directory, `${name}.log`),
    });
  }

  async run(options: LoadOptions): Promise<RunResult> {
    const job: Job = {
      port: options.port,
      connections: options.connections,
      duration_ms: options.durationMs,
      rate: options.rate ?? null,
      workload: options.workload,
      first_sequence: this.#nextSequence,
      until_death: options.untilDeath ?? false,
    };
    const reply = await this.#child.ask<GeneratorReply>(job);
    if ('error' in reply) throw new Error(`the load could not be made: ${reply.error}`);
    this.#nextSequence = reply.result.next_sequence;
    return reply.result;
  }

  close(): Promise<void> {
    return this.#child.stop();
  }
}
