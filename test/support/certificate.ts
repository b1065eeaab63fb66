import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { makeCertificate } from '../../src/cli/cert.js';

/** Why no certificate can be made, for the titles of skipped tests; undefined when one can. */
export const certificateProblem = hasOpenssl() ? undefined : 'there is no openssl command';

export interface TestCertificate {
  /** Paths of PEM files. */
  cert: string;
  key: string;
  /** What a client is told to trust. */
  ca: Buffer;
}

/** A new key and certificate for localhost, until the test ends. */
export async function makeTestCertificate(): Promise<TestCertificate> {
  const out = await mkdtemp(join(tmpdir(), 'fleetwire-tls-'));
  onTestFinished(() => rm(out, { recursive: true, force: true }));
  const sink = { write: () => {} };
  const terminal = {
    ...{ out: sink, err: sink, env: {} },
    readInput: async () => '',
    stopSignal: () => new Promise<string>(() => {}),
  };
  await makeCertificate(terminal, { host: [], out });
  const [cert, key] = [join(out, 'cert.pem'), join(out, 'key.pem')];
  return { cert, key, ca: readFileSync(cert) };
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
