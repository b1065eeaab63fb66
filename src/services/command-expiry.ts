import type { Db } from '../db/client.js';
import { expireCommands, hasExpiredCommands } from '../db/repositories/commands.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import { changeOf } from './command-wire.js';
import type { Journal } from './journal.js';

export interface CommandExpiryDeps {
  db: Db;
  journal: Journal;
  clock: Clock;
  log: Logger;
}

const SWEEP_MS = 1_000;
const SLICE_COMMANDS = 200;

/**
 * Marks commands that no robot acknowledged in time, now and every second until stopped; that none is handed out after
 * its time is seen to where it is handed out. Returns the stop function.
 */
export function startCommandExpiry({ db, journal, clock, log }: CommandExpiryDeps) {
  let running: Promise<void> | undefined;
  let stopped = false;

  async function sweep(): Promise<void> {
    while (!stopped && (await hasExpiredCommands(db, clock.now()))) {
      await journal.write(async (tx, record) => {
        for (const row of await expireCommands(tx, clock.now(), SLICE_COMMANDS)) {
          record(changeOf(row));
        }
      });
    }
  }
  function run(): void {
    running ??= sweep()
      .catch((error: unknown) => log.error({ err: error }, 'expiring commands failed'))
      .finally(() => {
        running = undefined;
      });
  }
  const stopTimer = clock.every(SWEEP_MS, run);
  run();
  return async function stop(): Promise<void> {
    stopped = true;
    stopTimer();
    await running;
  };
}
