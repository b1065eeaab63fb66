import { hash } from 'node:crypto';
import type { Insertable } from 'kysely';
import { ADMIN_ID } from '../../contract/access.js';
import { BCRYPT_COST_LIMIT, bcryptCost } from '../../lib/bcrypt-cost.js';
import type { AccountsTable, EmailVerificationCodesTable } from '../schema.js';
import { type Cells, Rejection } from './cells.js';
import type { FindingKind } from './findings.js';
import type { Known } from './known.js';

export type AccountRow = Insertable<AccountsTable>;
type Note = (kind: FindingKind, what: string) => void;

/**
 * An account with its address as it was written; `settleEmail` comes after all of them have been read.
 * @throws Rejection
 */
export function convertAccount(cells: Cells, known: Known, note: Note): AccountRow | 'deleted' {
  const id = cells.text('id');
  if (cells.isSet('deleted_at')) {
    known.deletedAccounts.add(id);
    return 'deleted';
  }
  if (known.accounts.has(id)) throw new Rejection('another account has the same id');
  known.accounts.add(id);
  const created_at = cells.instantOr('created_at', null) ?? known.nowMs;
  const times = { created_at, updated_at: cells.instantOr('updated_at', null) ?? created_at };
  if (id === ADMIN_ID) {
    note('changed', "the admin's key was the same on every KairoIO server; it has a new one");
    return { ...adminAccount(known), ...times };
  }
  const password_hash = cells.textOrNull('password_hash') ?? '';
  judgePassword(password_hash, known, note);
  return {
    id,
    email: cells.textOrNull('email') ?? placeholderEmail(id),
    password_hash,
    ...keyOf(cells, known, note),
    email_verified: cells.bitOrNull('email_verified') ?? 0,
    ...times,
  };
}

/** The built-in admin, who was in no table of the original. */
export function adminAccount(known: Known): AccountRow {
  return {
    id: ADMIN_ID,
    // No e-mail has this form, so no account can take it.
    email: ADMIN_ID,
    password_hash: '',
    ...withHash(freshKey(known)),
    email_verified: 1,
    created_at: known.nowMs,
    updated_at: known.nowMs,
  };
}

/** An account that robots belong to and that is not there: nobody can log in to it, and its robots are kept. */
export function placeholderAccount(id: string, known: Known): AccountRow {
  return {
    id,
    email: placeholderEmail(id),
    password_hash: '',
    ...withHash(freshKey(known)),
    email_verified: 0,
    created_at: known.nowMs,
    updated_at: known.nowMs,
  };
}

/**
 * Addresses are kept in lower case. Of several that differ in nothing else, the first in this order has it: one in lower
 * case already, then the oldest.
 */
export function settleEmails(
  accounts: AccountRow[],
  known: Known,
  note: (account: AccountRow, kind: FindingKind, what: string) => void,
): void {
  const inOrder = accounts.toSorted(
    (a, b) =>
      Number(isLower(b.email)) - Number(isLower(a.email)) ||
      a.created_at - b.created_at ||
      (a.id < b.id ? -1 : 1),
  );
  for (const account of inOrder) {
    if (account.id === ADMIN_ID) continue;
    const email = account.email.toLowerCase();
    if (!known.emails.has(email)) {
      account.email = email;
    } else {
      note(
        account,
        'problem',
        'another account has the same e-mail but for upper and lower case: this one can be used by its key alone',
      );
      if (known.emails.has(account.email)) account.email = placeholderEmail(account.id);
    }
    known.emails.add(account.email);
  }
}

/** @throws Rejection */
export function convertCode(
  cells: Cells,
  known: Known,
): Insertable<EmailVerificationCodesTable> | 'deleted' {
  if (cells.isSet('deleted_at')) return 'deleted';
  const email = cells.text('email').toLowerCase();
  if (known.codes.has(email)) throw new Rejection('another code is for the same e-mail');
  const code = hash('sha256', email + cells.text('code'), 'hex');
  known.codes.add(email);
  return {
    email,
    code,
    attempts: 0,
    created_at: cells.instantOr('created_at', null) ?? known.nowMs,
    // One whose end cannot be read has ended.
    expires_at: cells.instantOr('expires_at', null) ?? 0,
    verified: cells.bitOrNull('verified') ?? 0,
  };
}

function isLower(email: string): boolean {
  return email === email.toLowerCase();
}

function placeholderEmail(accountId: string): string {
  return `without e-mail: ${accountId}`;
}

function keyOf(cells: Cells, known: Known, note: Note) {
  const key = cells.textOrNull('certification_key');
  if (key !== null && !known.keys.has(key)) {
    known.keys.add(key);
    return withHash(key);
  }
  note(
    'problem',
    key === null
      ? 'it had no certification key; it has a new one, which a login tells'
      : 'another account has the same certification key; this one has a new one, which a login tells',
  );
  return withHash(freshKey(known));
}

function freshKey(known: Known): string {
  const key = known.newKey();
  known.keys.add(key);
  return key;
}

function withHash(certification_key: string) {
  return { certification_key, certification_key_hash: hash('sha256', certification_key, 'hex') };
}

function judgePassword(passwordHash: string, known: Known, note: Note): void {
  const cost = bcryptCost(passwordHash);
  const kind =
    cost !== undefined
      ? `bcrypt, cost ${cost}`
      : passwordHash.startsWith('$argon2')
        ? 'argon2'
        : 'of no known kind';
  known.passwordHashes.set(kind, (known.passwordHashes.get(kind) ?? 0) + 1);
  if (kind === 'of no known kind') {
    note('problem', 'its password hash is of no known kind: it can be used by its key alone');
  } else if (cost !== undefined && cost > BCRYPT_COST_LIMIT) {
    note(
      'problem',
      `its password hash has a bcrypt cost above ${BCRYPT_COST_LIMIT}, which is refused at login: it can be used by its key alone`,
    );
  }
}
