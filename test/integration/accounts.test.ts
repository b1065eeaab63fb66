import argon2 from 'argon2';
import { describe, expect, it } from 'vitest';
import type { PasswordEngine } from '../../src/services/passwords.js';
import { describeEachDatabase } from '../support/databases.js';
import { ADMIN, cheapEngine, createIdentity, useDatabase } from '../support/identity.js';

const HERE = { loopback: true };
const ELSEWHERE = { loopback: false };
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const REFUSED = { code: 'unauthenticated', message: 'Invalid username or password' };
const TAKEN = { code: 'conflict', message: 'Email already registered' };

describeEachDatabase('accounts', (kind) => {
  const db = useDatabase(kind);
  const identity = (admin = ADMIN) => createIdentity(db(), { admin, engine: cheapEngine });

  describe('the built-in admin', () => {
    it('gets a random key that is made once, even by two servers that start together', async () => {
      const servers = [identity(), identity(), identity()];
      await Promise.all(servers.map(({ accounts }) => accounts.ensureAdmin()));
      const logins = await Promise.all(servers.map((s) => s.accounts.login(ADMIN, HERE)));
      expect(logins[0]).toEqual({
        message: 'Login successful (Admin)',
        account_id: 'ADMIN-001',
        certification_key: expect.stringMatching(UUID),
      });
      expect(new Set(logins.map((login) => login.certification_key)).size).toBe(1);
      const restarted = identity();
      await restarted.accounts.ensureAdmin();
      expect(await restarted.accounts.login(ADMIN, HERE)).toEqual(logins[0]);
      const principal = await restarted.principals.resolve(logins[0]!.certification_key);
      expect(principal.account_id).toBe('ADMIN-001');
    });

    it('has another key in another database', async () => {
      const { accounts } = identity();
      await accounts.ensureAdmin();
      const first = await accounts.login(ADMIN, HERE);
      await db().deleteFrom('accounts').execute();
      await accounts.ensureAdmin();
      const second = await accounts.login(ADMIN, HERE);
      expect(second.certification_key).not.toBe(first.certification_key);
    });

    it('logs in with the default password from the server itself alone, and is told the remedy', async () => {
      const { accounts } = identity();
      await accounts.ensureAdmin();
      await expect(accounts.login(ADMIN, ELSEWHERE)).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('set admin.password'),
      });
      const wrong = accounts.login({ ...ADMIN, password: 'wrong' }, ELSEWHERE);
      await expect(wrong).rejects.toMatchObject(REFUSED);
    });

    it('logs in from anywhere with a password of its own', async () => {
      const own = { username: 'boss', password: 'a password of its own' };
      const { accounts } = identity(own);
      await accounts.ensureAdmin();
      expect(await accounts.login(own, ELSEWHERE)).toMatchObject({ account_id: 'ADMIN-001' });
      await expect(accounts.login(ADMIN, HERE)).rejects.toMatchObject(REFUSED);
    });

    it('cannot be reached by its row: neither by the id nor with an empty password', async () => {
      const { accounts } = identity();
      await accounts.ensureAdmin();
      const byId = accounts.login({ username: 'ADMIN-001', password: '' }, HERE);
      await expect(byId).rejects.toMatchObject(REFUSED);
    });
  });

  it('costs one argon2 check of the same kind for admin, account and nobody, right or wrong', async () => {
    const calls: string[] = [];
    const engine: PasswordEngine = {
      hash: (password, cost) => argon2.hash(password, cost),
      verify: (hash, password) => {
        const [, algorithm, version, cost] = hash.split('$');
        calls.push(`${algorithm} ${version} ${cost!.split(',').sort()}`);
        return argon2.verify(hash, password);
      },
    };
    const { accounts } = createIdentity(db(), { engine });
    await accounts.ensureAdmin();
    await accounts.create({ email: 'ann@example.com', password: 'a good password' });
    const password = 'a good password';
    await accounts.login({ username: 'ann@example.com', password }, HERE);
    await accounts.login(ADMIN, HERE);
    for (const username of ['ann@example.com', 'nobody@example.com', 'kairoio', 'ADMIN-001']) {
      const wrong = accounts.login({ username, password: 'wrong' }, ELSEWHERE);
      await expect(wrong).rejects.toMatchObject(REFUSED);
    }
    expect(calls).toEqual(Array(6).fill('argon2id v=19 m=19456,p=1,t=2'));
  });

  describe('a new account', () => {
    it('has the id of its second in UTC, its e-mail in lower case, and no password in the clear', async () => {
      const { accounts } = createIdentity(db());
      await accounts.ensureAdmin();
      const made = await accounts.create({ email: 'Ann@Example.com', password: 'a good password' });
      expect(made).toEqual({
        account_id: 'ACC-20260125-120000',
        certification_key: expect.stringMatching(UUID),
      });
      const row = await db()
        .selectFrom('accounts')
        .selectAll()
        .where('id', '=', made.account_id)
        .executeTakeFirstOrThrow();
      expect(row).toMatchObject({ email: 'ann@example.com', email_verified: 0 });
      expect(row.password_hash).toMatch(/^\$argon2id\$/);
      const login = { username: 'aNN@example.com', password: 'a good password' };
      expect(await accounts.login(login, ELSEWHERE)).toEqual({
        message: 'Login successful',
        ...made,
      });
    });

    it('shares its second with others under an id of its own', async () => {
      const { accounts } = identity();
      const made = await Promise.all(
        Array.from({ length: 8 }, (_, n) =>
          accounts.create({ email: `robot${n}@example.com`, password: 'a good password' }),
        ),
      );
      const ids = made.map(({ account_id }) => account_id);
      expect(new Set(ids).size).toBe(8);
      for (const id of ids) expect(id).toMatch(/^ACC-20260125-120000(-[0-9a-f]{6})?$/);
    });

    it('is made once for an e-mail, however it is written and however many ask at once', async () => {
      const { accounts } = identity();
      const attempts = await Promise.allSettled(
        ['ann@example.com', 'ANN@example.com', 'Ann@Example.Com', 'ann@EXAMPLE.com'].map((email) =>
          accounts.create({ email, password: 'a good password' }),
        ),
      );
      expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const attempt of attempts) {
        if (attempt.status === 'rejected') expect(attempt.reason).toMatchObject(TAKEN);
      }
      const later = accounts.create({ email: 'Ann@example.com', password: 'a good password' });
      await expect(later).rejects.toMatchObject(TAKEN);
    });

    it('cannot take the name of the admin, behind whom it could never log in', async () => {
      const { accounts } = identity({ username: 'Boss@example.com', password: 'a password' });
      const create = accounts.create({ email: 'boss@example.com', password: 'a good password' });
      await expect(create).rejects.toMatchObject(TAKEN);
    });

    it('is not made when its proof fails', async () => {
      const { accounts } = identity();
      const create = accounts.create({ email: 'a@example.com', password: 'x' }, async () => {
        throw new Error('no proof');
      });
      await expect(create).rejects.toThrow('no proof');
      expect(await db().selectFrom('accounts').select('id').execute()).toEqual([]);
    });
  });
});
