import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { findPythonTool } from './python-tool.js';
import { until } from './until.js';

/** The Python that has aiortc, installed from PyPI on first use; or why there is none. */
export const findAiortc = () => findPythonTool('aiortc', '1.14.0', 'python');

export interface Peer {
  /** Everything it said. */
  // biome-ignore lint/suspicious/noExplicitAny: tests compare what comes, whatever it is
  said: any[];
  /** So many pictures and pieces of sound have come. */
  perceives(count: number): Promise<void>;
  /** What it sends or watches ends, by a DELETE. */
  end(): Promise<void>;
}

/** Starts `test/fixtures/aiortc_peer.py`; it ends with the test at the latest. */
export function startPeer(
  python: string,
  role: 'whip' | 'whep',
  { url, token }: { url: string; token: string },
): Peer {
  const child: ChildProcess = spawn(
    python,
    ['test/fixtures/aiortc_peer.py', role, `${url}/${role}/r1`, token],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  let complaints = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  const said: Peer['said'] = [];
  createInterface(child.stdout!).on('line', (line) => said.push(JSON.parse(line)));
  const exited = once(child, 'exit');
  onTestFinished(async () => {
    if (child.exitCode === null) child.kill('SIGKILL');
    await exited;
  });
  const assertAlive = () => {
    if (child.exitCode) throw new Error(`aiortc ended with ${child.exitCode}: ${complaints}`);
  };
  return {
    said,
    async perceives(count) {
      await until(`${count} pictures and pieces of sound`, () => {
        assertAlive();
        const { received } = said.findLast((one) => one.received) ?? {};
        return received?.video >= count && received?.audio >= count;
      });
    },
    async end() {
      child.stdin!.end();
      await until('the answer to its DELETE', () => {
        assertAlive();
        return said.some(({ deleted }) => deleted === 200);
      });
      await exited;
    },
  };
}
