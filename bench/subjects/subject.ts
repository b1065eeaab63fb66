import { join } from 'node:path';
import { Child, typescriptArgs } from '../lib/child.js';
import type { StatusStore } from '../lib/status-store.js';

/** A running server that takes statuses, and how to look into its database afterwards. */
export interface Subject {
  name: string;
  child: Child;
  port: number;
  token: string;
  robot_ids: string[];
  /** Null for a server that keeps nothing. Opened after the server has stopped. */
  openStore: (() => Promise<StatusStore>) | null;
}

/** Starts one of the comparison servers, which say on the message channel where they listen. */
export async function startComparison(
  name: string,
  directory: string,
  args: string[],
): Promise<{ child: Child; port: number }> {
  const child = new Child({
    args: [...typescriptArgs(`servers/${name}.ts`), ...args],
    cwd: directory,
    outputPath: join(directory, `${name}.log`),
  });
  const { port } = await child.nextMessage<{ port: number }>();
  return { child, port };
}

/** Stops the server, then checks its database against what it acknowledged. */
export async function countMissingRows(
  subject: Subject,
  acknowledgedStatuses: number,
): Promise<number> {
  await subject.child.stop();
  if (subject.openStore === null) return 0;
  const store = await subject.openStore();
  try {
    return acknowledgedStatuses - (await store.count());
  } finally {
    await store.close();
  }
}
