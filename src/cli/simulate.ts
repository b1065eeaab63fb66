import { randomInt } from 'node:crypto';
import { systemClock } from '../lib/clock.js';
import type { Access } from '../simulator/enrolment.js';
import { SimulationError } from '../simulator/failure.js';
import type { Reading } from '../simulator/meter.js';
import { simulate } from '../simulator/simulation.js';
import { CommandError, type Terminal } from './terminal.js';

export interface SimulateOptions {
  robots: number;
  rate: number;
  url?: string;
  token?: string;
  username?: string;
  /** Milliseconds. */
  duration?: number;
  seed?: number;
  prefix: string;
}

const DEFAULT_URL = 'http://localhost:8080';
const DEFAULT_ADMIN = { username: 'kairoio', password: 'kairoio' };
const TTY_REFRESH_MS = 250;
const LINE_EVERY_MS = 5_000;
/** A key outlives its robot by a little, and a day when nobody said how long it goes on. */
const KEY_MARGIN_SECONDS = 600;
const DAY_SECONDS = 86_400;

/**
 * Drives a running server as robots would, until the duration is over or a signal comes.
 * @throws CommandError 1 when nothing got through, 2 when the arguments cannot work.
 */
export async function simulateCommand(terminal: Terminal, options: SimulateOptions): Promise<void> {
  const url = readUrl(options.url ?? terminal.env.FLEETWIRE_URL ?? DEFAULT_URL);
  const { robots, rate, duration, prefix } = options;
  const seed = options.seed ?? randomInt(1_000_000);
  const stop = new AbortController();
  void terminal.stopSignal().then(() => stop.abort());
  const progress = createProgress(terminal, robots);

  try {
    const { problem, ...reading } = await simulate({
      url,
      access: readAccess(terminal, url, options),
      robots,
      ratePerSecond: rate,
      keyLifeSeconds:
        duration === undefined ? DAY_SECONDS : Math.ceil(duration / 1_000) + KEY_MARGIN_SECONDS,
      seed,
      prefix,
      clock: systemClock,
      signal: stop.signal,
      tell: progress.tell,
      onStart(read) {
        progress.tell(
          `Driving ${robots} robots (${prefix}-001 …) at ${rate} statuses/s each against ${url}, seed ${seed}. Ctrl-C stops.`,
        );
        progress.start(read);
        if (duration !== undefined) setTimeout(() => stop.abort(), duration).unref();
      },
    });
    progress.end();
    terminal.out.write(
      `Stopped after ${reading.seconds.toFixed(1)} s. ${counts(robots, reading)}\n`,
    );
    if (reading.ok === 0) {
      throw new CommandError(`Nothing got through${problem === undefined ? '' : `: ${problem}`}`);
    }
  } catch (error) {
    progress.end();
    if (!(error instanceof SimulationError)) throw error;
    throw new CommandError(error.message, error.isUsage ? 2 : 1);
  }
}

function readUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return text.replace(/\/+$/, '');
  throw new CommandError(
    `--url must be the address of a server, like ${DEFAULT_URL}; got "${text}"`,
    2,
  );
}

function readAccess(
  { env }: Terminal,
  url: string,
  { token = env.FLEETWIRE_TOKEN, username }: SimulateOptions,
): Access {
  if (username !== undefined) {
    const password = env.FLEETWIRE_PASSWORD;
    if (password) return { username, password };
    throw new CommandError('--username needs the password in the variable FLEETWIRE_PASSWORD', 2);
  }
  if (token) return { token };
  if (/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname)) return DEFAULT_ADMIN;
  throw new CommandError(
    `${url} is another machine, where the default admin cannot log in: give FLEETWIRE_TOKEN, or --username and FLEETWIRE_PASSWORD`,
    2,
  );
}

/** One line that is kept up to date on a terminal; elsewhere a line every five seconds. */
function createProgress({ out }: Terminal, robots: number) {
  let line = '';
  let timer: NodeJS.Timeout | undefined;

  function erase(): void {
    if (line) out.write('\r\u001b[K');
    line = '';
  }
  function refresh(reading: Reading): void {
    const text = counts(robots, reading);
    if (!out.isTTY) {
      out.write(`${text}\n`);
      return;
    }
    erase();
    line = text.slice(0, (out.columns ?? 80) - 1);
    out.write(line);
  }
  return {
    tell(text: string) {
      erase();
      out.write(`${text}\n`);
    },
    start(read: () => Reading) {
      timer = setInterval(() => refresh(read()), out.isTTY ? TTY_REFRESH_MS : LINE_EVERY_MS);
    },
    end() {
      clearInterval(timer);
      erase();
    },
  };
}

function counts(robots: number, reading: Reading): string {
  const { sent, ok, failed, ratePerSecond, p50Ms, commands } = reading;
  const rate = `${ratePerSecond.toFixed(1)}/s`;
  const latency = p50Ms === null ? '-' : `${p50Ms.toFixed(1)} ms`;
  const obeyed = `commands ${commands.completed} done ${commands.failed} failed`;
  return `${robots} robots  sent ${sent}  ok ${ok}  failed ${failed}  ${rate}  p50 ${latency}  ${obeyed}`;
}
