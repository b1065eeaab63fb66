import { type ExecFileException, execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CommandError, type Terminal } from './terminal.js';

export interface CertOptions {
  /** Names and addresses beside those of this machine. */
  host: string[];
  /** The folder that the two files go to. */
  out: string;
  force?: true;
}

const run = promisify(execFile);
/** More than a year, and what Apple's devices accept. */
const DAYS = 397;
const PORT = 8443;
const RELAY_PORT = 8000;
const NAME = /^(\*\.)?[\w-]{1,63}(\.[\w-]{1,63})*$/;

/**
 * Makes a key and a certificate that it signed itself, for browsers that give a camera to secure pages alone, and prints
 * what makes the server use them. It is no authority: who trusts it trusts these names and nothing else.
 * @throws CommandError when files are there already, when a host is no name or address, when there is no `openssl`.
 */
export async function makeCertificate(terminal: Terminal, options: CertOptions): Promise<void> {
  const wrong = options.host.filter((host) => isIP(host) === 0 && !NAME.test(host));
  if (wrong.length > 0) {
    const names = wrong.map((host) => JSON.stringify(host)).join(', ');
    throw new CommandError(`--host ${names}: write a name or an IP address, without a port`, 2);
  }
  const cert = join(options.out, 'cert.pem');
  const key = join(options.out, 'key.pem');
  if (!options.force) await refuseToReplace([cert, key]);
  const hosts = [...new Set([...ownHosts(), ...options.host])];
  await mkdir(options.out, { recursive: true }).catch(cannotWrite(options.out));
  const folder = await mkdtemp(join(options.out, '.new-')).catch(cannotWrite(options.out));
  try {
    await sign(folder, hosts);
    await rename(join(folder, 'key.pem'), key);
    await rename(join(folder, 'cert.pem'), cert);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  terminal.out.write(report({ cert, key, hosts }));
}

async function refuseToReplace(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const isThere = await stat(path).then(
      () => true,
      () => false,
    );
    if (isThere) throw new CommandError(`${path} is there already; --force replaces it`);
  }
}

/** The names and addresses that this machine is reached by. */
function ownHosts(): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    // A link-local address is good with its interface alone, which no URL in a browser can name.
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address);
  const name = hostname();
  return ['localhost', '127.0.0.1', '::1', ...(NAME.test(name) ? [name] : []), ...addresses];
}

/** Leaves `key.pem`, which its owner alone may read, and `cert.pem` in the folder. */
async function sign(folder: string, hosts: readonly string[]): Promise<void> {
  const settings = join(folder, 'openssl.cnf');
  const key = join(folder, 'key.pem');
  await writeFile(settings, settingsFor(hosts));
  // Made beforehand, because the program would let everybody read it until it has been changed.
  await (await open(key, 'w', 0o600)).close();
  const args = ['req', '-x509', '-new', '-newkey', 'rsa:2048', '-nodes', '-sha256'];
  const files = ['-config', settings, '-keyout', key, '-out', join(folder, 'cert.pem')];
  try {
    await run('openssl', [...args, '-days', String(DAYS), ...files]);
  } catch (error) {
    const { code, stderr, message } = error as ExecFileException & { stderr?: string };
    if (code === 'ENOENT') throw new CommandError(NO_OPENSSL);
    throw new CommandError(`openssl made no certificate: ${stderr?.trim() || message}`);
  }
}

const NO_OPENSSL = `There is no openssl command here, which makes the certificate. Install it (Debian: apt-get install openssl, macOS: it is
there, Windows: it comes with Git), or make a certificate elsewhere, such as with mkcert, and name its files in
server.listeners.`;

function settingsFor(hosts: readonly string[]): string {
  const names = hosts.map((host) => (isIP(host) === 0 ? `DNS:${host}` : `IP:${host}`));
  return `[req]
prompt = no
distinguished_name = subject
x509_extensions = extensions
[subject]
CN = Fleetwire development
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = ${names.join(', ')}
`;
}

function report({ cert, key, hosts }: { cert: string; key: string; hosts: string[] }): string {
  const tls = `{cert: ${JSON.stringify(cert)}, key: ${JSON.stringify(key)}}`;
  const variable = JSON.stringify([{ port: PORT, tls: { cert, key } }]);
  return `${cert} and ${key} are made, for ${hosts.join(', ')}; good for ${DAYS} days.
Nobody vouches for it: a browser warns once, other clients must be told to trust it.

To use it, write into config.yaml:

server:
  listeners:
    - {port: ${PORT}, tls: ${tls}}   # everything, at https://localhost:${PORT}
    - {port: ${RELAY_PORT}, api: relay, tls: ${tls}}   # the relay alone, at wss://localhost:${RELAY_PORT}/ws

or set a variable:

KAIROIO_SERVER_LISTENERS='${variable}'
`;
}

function cannotWrite(path: string) {
  return (error: Error): never => {
    throw new CommandError(`${path} cannot be written to: ${error.message}`);
  };
}
