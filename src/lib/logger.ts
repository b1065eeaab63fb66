import { type Logger, type LoggerOptions, pino } from 'pino';

export type { Logger };

const SECRETS = ['password', 'token', 'certification_key', 'secret', 'authorization', 'cookie'];

/** pino options shared by the server and the command line; anything that looks like a secret is cut out. */
export function loggerOptions(level: string): LoggerOptions {
  return {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    redact: {
      paths: [
        ...SECRETS,
        ...SECRETS.map((name) => `*.${name}`),
        ...SECRETS.map((name) => `req.headers.${name}`),
      ],
      censor: '[redacted]',
    },
  };
}

/** The log of one request: every line bears its id. Made where something is logged, not for each of thousands a second. */
export function requestLog<T extends { child(bindings: object): T }>(log: T, id: string): T {
  return log.child({ request_id: id });
}

/** A logger that writes JSON lines to `destination`. */
export function createLogger(level: string, destination: { write(line: string): void }): Logger {
  return pino(loggerOptions(level), destination);
}
