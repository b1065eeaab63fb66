import { setFlagsFromString } from 'node:v8';
import { banner } from './banner.js';
import { openLog, readConfig, readVersion } from './load.js';
import { CommandError, type Terminal } from './terminal.js';

const STOP_LIMIT_MS = 4_800;

/** Serves until a signal comes, then stops cleanly. @throws CommandError when it cannot start or stop in time. */
export async function serve(terminal: Terminal, options: { config?: string }): Promise<void> {
  growYoungHeap(false);
  const config = readConfig(terminal, options.config);
  const log = await openLog(terminal, config.log.level);
  const version = readVersion();
  const stopped = terminal.stopSignal();

  const { createApp } = await import('../app.js');
  const app = await createApp({
    ...{ config, log, version },
    mediaWorker: terminal.env.MEDIASOUP_WORKER_BIN,
  }).catch((error: Error) => {
    throw new CommandError(`Fleetwire cannot start: ${error.message}`);
  });
  const address = await app.listen().catch(async (error: NodeJS.ErrnoException) => {
    await app.close();
    throw new CommandError(listenProblem(error, config.server));
  });
  terminal.out.write(
    banner({
      ...{ config, version, address, database: app.database },
      further: app.furtherAddresses(),
      backup: app.adoption?.backup,
      video: await app.media.health(),
    }),
  );
  growYoungHeap(true);

  const signal = await stopped;
  terminal.out.write(`\n${signal}: stopping\n`);
  const late = setTimeout(() => {
    throw new CommandError(`Fleetwire did not stop within ${STOP_LIMIT_MS} ms`);
  }, STOP_LIMIT_MS);
  await app.close();
  clearTimeout(late);
  terminal.out.write('Stopped: everything that was accepted is stored.\n');
}

/**
 * Whether V8 may double the space for young objects when much of it survives, as nearly all does that a start makes: it
 * would have 16 MB of it then, mostly empty, for the first half minute. Measured: 11 MB less, in the same time. Switched
 * on again, it grows as load asks for it. A V8 without this flag only complains.
 */
function growYoungHeap(allowed: boolean): void {
  setFlagsFromString(`--semi-space-growth-factor=${allowed ? 2 : 1}`);
}

function listenProblem(
  error: NodeJS.ErrnoException & { port?: number; address?: string },
  server: { host: string; port: number },
): string {
  // A host that cannot be looked up has no address and no port.
  const { port = server.port, address = server.host } = error;
  if (error.code === 'EADDRINUSE') {
    const remedy = port === server.port ? 'set KAIROIO_SERVER_PORT to' : 'give server.listeners';
    return `Port ${port} is taken; stop what uses it, or ${remedy} another`;
  }
  return `Fleetwire cannot listen on ${address}:${port}: ${error.message}`;
}
