import { randomInt, timingSafeEqual } from 'node:crypto';
import type { Config } from '../config.js';
import type { Login, RegisterAccountInput, SendCode } from '../contract/access.js';
import type { Db, Handle } from '../db/client.js';
import {
  codeCreatedAt,
  consumeCode,
  deleteCodesExpiredBefore,
  storeCode,
  takeAttempt,
} from '../db/repositories/verification-codes.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Logger } from '../lib/logger.js';
import type { Accounts } from './accounts.js';
import type { Mailer } from './mailer.js';
import { hashToken } from './principals.js';

const MAX_ATTEMPTS = 5;
const MAIL_INTERVAL_MS = 60_000;
/** An expired code is kept this long, so that its owner reads "expired" and not "invalid". */
const EXPIRED_KEPT_MS = 3_600_000;

/** Both refuse with DomainError `forbidden` while registration is switched off. */
export interface Registration {
  /**
   * Mails a code of 6 digits that replaces any earlier one for the address. Resolves when the mail is handed over.
   * @throws DomainError `conflict` for an address with an account; `rate_limited` for a second mail within a minute;
   * `unavailable` when mail is not configured or fails, after which another try is free at once.
   */
  sendCode(email: string): Promise<SendCode>;
  /**
   * Makes the account and uses up the code, both or neither. Each try costs one of the code's 5, the right one too.
   * @throws DomainError `invalid_input` for a wrong, used, exhausted or expired code; `conflict` for an address with an
   * account.
   */
  register(input: RegisterAccountInput): Promise<Login>;
}

export interface RegistrationDeps {
  db: Db;
  clock: Clock;
  log: Logger;
  accounts: Accounts;
  /** Null when no SMTP host is configured. */
  mailer: Mailer | null;
  features: Pick<Config['features'], 'registration_enabled' | 'email_verification_required'>;
  environment: Config['server']['environment'];
  codeTtlMs: number;
  /** 6 digits; tests replace it. */
  randomCode?: () => string;
}

export function createRegistration(deps: RegistrationDeps): Registration {
  const { db, clock, accounts, features, codeTtlMs, randomCode = sixDigits } = deps;

  function assertEnabled(): void {
    if (!features.registration_enabled) {
      throw new DomainError('forbidden', 'Registration is disabled');
    }
  }

  return {
    async sendCode(address) {
      assertEnabled();
      const email = address.toLowerCase();
      await accounts.assertEmailFree(email);
      const deliver = deliveryOf(deps);
      const now = clock.now();
      const code = randomCode();
      const row = {
        email,
        code: hashCode(email, code),
        created_at: now,
        expires_at: now + codeTtlMs,
      };
      await deleteCodesExpiredBefore(db, now - EXPIRED_KEPT_MS);
      if (!(await storeCode(db, row, now - MAIL_INTERVAL_MS))) {
        const mailedAt = (await codeCreatedAt(db, email)) ?? now;
        throw new DomainError('rate_limited', 'A code was sent a moment ago; look in your mail', {
          limit: 'verification_mails_per_address',
          retryAfterMs: Math.max(1, mailedAt + MAIL_INTERVAL_MS - now),
        });
      }
      try {
        await deliver(email, code);
      } catch (error) {
        await consumeCode(db, email, row.code);
        deps.log.error({ err: error }, 'a verification mail could not be sent');
        throw new DomainError('unavailable', 'The mail could not be sent; try again later');
      }
      return { message: 'Verification code sent', expires_in: goDuration(codeTtlMs) };
    },

    async register({ email: address, password, code }) {
      assertEnabled();
      const email = address.toLowerCase();
      await accounts.assertEmailFree(email);
      const account = features.email_verification_required
        ? await accounts.create({ email, password }, await proofOf(email, code))
        : await accounts.create({ email, password });
      return { message: 'Account created successfully', ...account };
    },
  };

  /** Checks the code and returns what uses it up, for the transaction that makes the account. */
  async function proofOf(email: string, code = ''): Promise<(tx: Handle) => Promise<void>> {
    const codeHash = hashCode(email, code);
    const mailed = await takeAttempt(db, email, MAX_ATTEMPTS);
    if (!mailed || !timingSafeEqual(Buffer.from(mailed.code), Buffer.from(codeHash))) {
      throw invalidCode();
    }
    if (mailed.expires_at <= clock.now()) {
      throw new DomainError('invalid_input', 'Verification code expired');
    }
    return async (transaction) => {
      if (!(await consumeCode(transaction, email, codeHash))) throw invalidCode();
    };
  }
}

/** How a code reaches its owner. @throws DomainError `unavailable` when there is no way. */
function deliveryOf({ mailer, environment, log, codeTtlMs }: RegistrationDeps) {
  if (mailer) {
    return (email: string, code: string): Promise<void> =>
      mailer.send({
        to: email,
        subject: 'Your Fleetwire verification code',
        text: `Your verification code is ${code}. It is valid for ${inWords(codeTtlMs)}.\n\nIf you did not ask for it, ignore this mail.\n`,
      });
  }
  if (environment === 'development') {
    return async (email: string, code: string): Promise<void> =>
      log.info(`verification code for ${email}: ${code} (not mailed: email.smtp_host is not set)`);
  }
  throw new DomainError(
    'unavailable',
    'This server cannot send mail, so it cannot verify addresses; its operator must set email.smtp_host',
  );
}

function inWords(ms: number): string {
  return ms < 120_000 ? `${Math.round(ms / 1_000)} seconds` : `${Math.floor(ms / 60_000)} minutes`;
}

function sixDigits(): string {
  return randomInt(1_000_000).toString().padStart(6, '0');
}

function hashCode(email: string, code: string): string {
  return hashToken(email + code);
}

function invalidCode(): DomainError {
  return new DomainError('invalid_input', 'Invalid verification code');
}

/** A duration as Go prints it, which the original's clients read: `20m0s`, `1h0m0s`, `45s`. */
export function goDuration(ms: number): string {
  if (ms > 0 && ms < 1_000) return `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = (ms % 60_000) / 1_000;
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}
