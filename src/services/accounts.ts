import { randomBytes, randomUUID } from 'node:crypto';
import type { Config } from '../config.js';
import { ADMIN_ID, type Login, type LoginInput, type NewAccountInput } from '../contract/access.js';
import type { Db, Handle } from '../db/client.js';
import {
  bcryptCosts,
  findAccount,
  findAccountByEmail,
  insertAccount,
  replacePasswordHash,
} from '../db/repositories/accounts.js';
import { BCRYPT_COST_LIMIT } from '../lib/bcrypt-cost.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { isOutdated, type Passwords } from './passwords.js';
import { hashToken } from './principals.js';

export { ADMIN_ID };

const ID_ATTEMPTS = 20;

export interface Accounts {
  /**
   * Makes the admin's account with a random certification key unless it exists; several servers may run it at once.
   */
  ensureAdmin(): Promise<void>;
  /**
   * Costs the same whoever is asked for, admin, account or nobody. A bcrypt hash of an adopted database is replaced by
   * argon2id as soon as its password is right; while there are any, every login costs as much as the dearest of them.
   * @throws DomainError `unauthenticated` for a wrong name or password; `forbidden` for the admin's default password
   * from another machine; `rate_limited` when too many logins wait.
   */
  login(input: LoginInput, caller: { loopback: boolean }): Promise<Login>;
  /**
   * @param emailProof runs in the transaction that adds the account; what it throws undoes both. Without it the
   * address counts as unverified.
   * @throws DomainError `conflict` when the e-mail has an account.
   */
  create(
    input: NewAccountInput,
    emailProof?: (transaction: Handle) => Promise<void>,
  ): Promise<Omit<Login, 'message'>>;
  /** @throws DomainError `conflict` when the e-mail has an account. */
  assertEmailFree(email: string): Promise<void>;
  /** The id of the account that this login name belongs to, if there is one. */
  idOf(username: string): Promise<string | undefined>;
}

export interface AccountsDeps {
  db: Db;
  clock: Clock;
  passwords: Passwords;
  admin: Config['admin'];
  /** True while `admin.password` is the documented default, which is good from the server itself alone. */
  isDefaultAdminPassword: boolean;
}

export function createAccounts(deps: AccountsDeps): Accounts {
  const { db, clock, passwords, admin, isDefaultAdminPassword } = deps;
  let adminHash: Promise<string> | undefined;
  let dearestBcrypt: Promise<number | null> | undefined;

  /** Made at the first login, whoever's it is: its 19 MiB are more than an idle server needs. */
  function hashOfAdmin(): Promise<string> {
    adminHash ??= passwords.hash(admin.password).catch((error: unknown) => {
      adminHash = undefined;
      throw error;
    });
    return adminHash;
  }

  /** The cost of the dearest bcrypt hash that a login accepts; null when there is none. */
  async function readBcryptCost(): Promise<number | null> {
    const accepted = (await bcryptCosts(db)).filter((cost) => cost <= BCRYPT_COST_LIMIT);
    return accepted.length === 0 ? null : Math.max(...accepted);
  }

  /** Read again after one was replaced; nothing ever adds any. */
  function bcryptCost(): Promise<number | null> {
    dearestBcrypt ??= readBcryptCost().catch((error: unknown) => {
      dearestBcrypt = undefined;
      throw error;
    });
    return dearestBcrypt;
  }

  async function replaceHash(accountId: string, oldHash: string, password: string): Promise<void> {
    await replacePasswordHash(db, accountId, oldHash, await passwords.hash(password));
    dearestBcrypt = undefined;
  }

  async function assertEmailFree(email: string): Promise<void> {
    const address = email.toLowerCase();
    // The admin comes first at login, so an account of that name could never log in.
    const taken =
      address === admin.username.toLowerCase() || (await findAccountByEmail(db, address));
    if (taken) throw emailTaken();
  }

  return {
    assertEmailFree,
    async idOf(username) {
      if (username === admin.username) return ADMIN_ID;
      return (await findAccountByEmail(db, username.toLowerCase()))?.id;
    },
    async ensureAdmin() {
      const now = clock.now();
      await insertAccount(db, {
        ...newKey(),
        id: ADMIN_ID,
        // No e-mail has this form, so no account can take it.
        email: ADMIN_ID,
        password_hash: '',
        email_verified: 1,
        created_at: now,
        updated_at: now,
      });
    },
    async login({ username, password }, caller) {
      const isAdmin = username === admin.username;
      const account = isAdmin
        ? await findAccount(db, ADMIN_ID)
        : await findAccountByEmail(db, username.toLowerCase());
      const ofAdmin = await hashOfAdmin();
      const passwordHash = isAdmin ? ofAdmin : (account?.password_hash ?? null);
      const isRight = await passwords.verify(passwordHash, password, await bcryptCost());
      if (!isRight || !account) {
        throw new DomainError('unauthenticated', 'Invalid username or password');
      }
      if (isOutdated(passwordHash)) await replaceHash(account.id, passwordHash, password);
      if (isAdmin && isDefaultAdminPassword && !caller.loopback) {
        throw new DomainError(
          'forbidden',
          'The default admin password works on the server itself alone; to log in from here, set admin.password in config.yaml or KAIROIO_ADMIN_PASSWORD and restart the server',
        );
      }
      return {
        message: isAdmin ? 'Login successful (Admin)' : 'Login successful',
        account_id: account.id,
        certification_key: account.certification_key,
      };
    },
    async create({ email, password }, emailProof) {
      await assertEmailFree(email);
      const password_hash = await passwords.hash(password);
      const now = clock.now();
      const account = {
        ...newKey(),
        email: email.toLowerCase(),
        password_hash,
        email_verified: emailProof ? (1 as const) : (0 as const),
        created_at: now,
        updated_at: now,
      };
      return db.transaction().execute(async (transaction) => {
        await emailProof?.(transaction);
        for (let attempt = 0; attempt < ID_ATTEMPTS; attempt += 1) {
          const id = accountId(now, attempt);
          if (await insertAccount(transaction, { ...account, id })) {
            return { account_id: id, certification_key: account.certification_key };
          }
          if (await findAccountByEmail(transaction, account.email)) throw emailTaken();
        }
        throw new Error(`No free account id after ${ID_ATTEMPTS} attempts`);
      });
    },
  };
}

function emailTaken(): DomainError {
  return new DomainError('conflict', 'Email already registered');
}

function newKey() {
  const certification_key = randomUUID();
  return { certification_key, certification_key_hash: hashToken(certification_key) };
}

/** `ACC-YYYYMMDD-HHMMSS` in UTC; a random ending sets apart what is made in the same second. */
function accountId(now: number, attempt: number): string {
  const [date, time] = new Date(now).toISOString().slice(0, 19).replace(/[-:]/g, '').split('T');
  const ending = attempt === 0 ? '' : `-${randomBytes(3).toString('hex')}`;
  return `ACC-${date}-${time}${ending}`;
}
