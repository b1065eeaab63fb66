import type { Handle } from '../dialect.js';

export interface NewVerificationCode {
  email: string;
  /** SHA-256 of address and code in hex. */
  code: string;
  created_at: number;
  expires_at: number;
}

/** Replaces the address's code, unless that was made after `olderThan`. Returns whether it was stored. */
export async function storeCode(
  db: Handle,
  code: NewVerificationCode,
  olderThan: number,
): Promise<boolean> {
  const { email: _, ...fresh } = { ...code, attempts: 0, verified: 0 as const };
  const stored = await db
    .insertInto('email_verification_codes')
    .values({ email: code.email, ...fresh })
    .onConflict((conflict) =>
      conflict
        .column('email')
        .doUpdateSet(fresh)
        .where('email_verification_codes.created_at', '<=', olderThan),
    )
    .returning('email')
    .executeTakeFirst();
  return stored !== undefined;
}

/** When the address's code was made. */
export async function codeCreatedAt(db: Handle, email: string): Promise<number | undefined> {
  const row = await db
    .selectFrom('email_verification_codes')
    .select('created_at')
    .where('email', '=', email)
    .executeTakeFirst();
  return row?.created_at;
}

/** Takes one of the code's `maxAttempts` tries and returns what to compare with; undefined when none is left. */
export async function takeAttempt(
  db: Handle,
  email: string,
  maxAttempts: number,
): Promise<{ code: string; expires_at: number } | undefined> {
  return db
    .updateTable('email_verification_codes')
    .set((eb) => ({ attempts: eb('attempts', '+', 1) }))
    .where('email', '=', email)
    .where('attempts', '<', maxAttempts)
    .returning(['code', 'expires_at'])
    .executeTakeFirst();
}

/** Uses up this very code. Returns false when it is gone: used, or replaced by a newer one. */
export async function consumeCode(db: Handle, email: string, code: string): Promise<boolean> {
  const consumed = await db
    .deleteFrom('email_verification_codes')
    .where('email', '=', email)
    .where('code', '=', code)
    .returning('email')
    .executeTakeFirst();
  return consumed !== undefined;
}

export async function deleteCodesExpiredBefore(db: Handle, before: number): Promise<void> {
  await db.deleteFrom('email_verification_codes').where('expires_at', '<', before).execute();
}
