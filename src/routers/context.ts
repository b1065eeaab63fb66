import type { Principal } from '../contract/access.js';
import type { PressureSocket } from '../realtime/pressure.js';
import type { Services } from '../services/index.js';

/** Where a call came from. */
export interface Caller {
  /** Which API it was made in. */
  door: 'rest' | 'trpc';
  ip: string;
  /** Where it was sent, such as `https://fleet.example.com`, or what is configured instead: the beginning of links. */
  origin: string;
  /** True only for a direct connection from this machine (no unlisted proxy in between). */
  loopback: boolean;
}

/** The part of a logger that errors need. */
export interface ErrorLog {
  error(fields: object, message: string): void;
}

/**
 * What every procedure gets, whichever door the call came through. Steps copy it to add to it, so what costs something to
 * find out is found out behind a member, never by reading one.
 */
export interface Context {
  services: Services;
  caller: Caller;
  log: ErrorLog;
  /** As it was sent, whatever it is worth; undefined when there is none. It must never be shown. */
  credential: string | undefined;
  /**
   * Who is calling, looked up anew on each call because a socket outlives a credential.
   * @throws DomainError `unauthenticated` when there is no valid credential.
   */
  authenticate(): Promise<Principal>;
  /** A ticket that stands for the caller's credential. @throws DomainError `rate_limited`, and `unauthenticated` without one. */
  issueTicket(): { ticket: string; expires_in_seconds: number };
  /** Counts one call against the caller's rate limit; absent where the HTTP layer has already counted it. */
  admit?: (() => void) | undefined;
  /** Counts one try at a password or a code against the caller's limit for those. */
  admitLogin?: (() => void) | undefined;
  /** Counts one entry into a room against the caller's limit for those. */
  admitToRoom?: (() => void) | undefined;
  /** The connection that subscription events are written to; absent for in-process calls. */
  socket?: PressureSocket | undefined;
}
