import argon2 from 'argon2';
import bcrypt from 'bcrypt';
import { describe, expect, it } from 'vitest';
import { createPasswords, isOutdated, type PasswordEngine } from '../../src/services/passwords.js';

/** The real argon2, with every call written down. */
function countingEngine() {
  const calls: string[] = [];
  const engine: PasswordEngine = {
    hash: (password, cost) => {
      calls.push('hash');
      return argon2.hash(password, cost);
    },
    verify: (hash, password) => {
      const [, algorithm, , cost] = hash.split('$');
      calls.push(`verify ${algorithm} ${cost!.split(',').sort()}`);
      return argon2.verify(hash, password);
    },
  };
  return { calls, engine };
}

const COST = 'verify argon2id m=19456,p=1,t=2';

describe('passwords', () => {
  it('recognises the password that was hashed and no other', async () => {
    const passwords = createPasswords();
    const hash = await passwords.hash('correct horse');
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,(t=2,p=1|p=1,t=2)\$/);
    expect(await passwords.hash('correct horse')).not.toBe(hash);
    expect(await passwords.verify(hash, 'correct horse')).toBe(true);
    expect(await passwords.verify(hash, 'correct horsf')).toBe(false);
  });

  it('does the same work for nobody and for a foreign hash as for an account', async () => {
    const { calls, engine } = countingEngine();
    const passwords = createPasswords(engine);
    const hash = await argon2.hash('right', { memoryCost: 19_456, timeCost: 2, parallelism: 1 });
    expect(await passwords.verify(hash, 'wrong')).toBe(false);
    expect(await passwords.verify(null, 'wrong')).toBe(false);
    expect(await passwords.verify('', 'wrong')).toBe(false);
    expect(await passwords.verify('$2a$12$abcdefghijklmnopqrstuv', 'wrong')).toBe(false);
    expect(calls).toEqual([COST, COST, COST, COST]);
  });

  it('does the work of the dearest bcrypt hash for every check, whatever there is to check', async () => {
    const { calls, engine } = countingEngine();
    let work = 0;
    const passwords = createPasswords(engine, (password, hash) => {
      work += 2 ** Number(hash.slice(4, 6));
      return bcrypt.compare(password, hash);
    });
    const ofArgon2 = await argon2.hash('right', {
      ...{ memoryCost: 19_456, timeCost: 2, parallelism: 1 },
    });
    const ofBcrypt = async (cost: number) =>
      (await bcrypt.hash('right', cost)).replace('$2b', '$2a');
    const hashes = [
      null,
      '',
      'plain',
      ofArgon2,
      await ofBcrypt(4),
      await ofBcrypt(6),
      await ofBcrypt(7),
    ];
    for (const hash of hashes) {
      for (const password of ['right', 'wrong']) {
        calls.length = 0;
        work = 0;
        const isRight = await passwords.verify(hash, password, 7);
        expect(isRight).toBe(password === 'right' && (hash?.startsWith('$') ?? false));
        expect({ calls, work }).toEqual({ calls: [COST], work: 2 ** 7 });
      }
    }
    work = 0;
    expect(await passwords.verify(ofArgon2, 'right', null)).toBe(true);
    expect(work).toBe(0);
  });

  it("knows bcrypt's versions, and not one that would take minutes", async () => {
    const passwords = createPasswords();
    const hash = await bcrypt.hash('right', 4);
    for (const version of ['$2a$', '$2b$', '$2y$']) {
      const other = hash.replace('$2b$', version);
      expect(isOutdated(other)).toBe(true);
      expect(await passwords.verify(other, 'right', 4)).toBe(true);
      expect(await passwords.verify(other, 'wrong', 4)).toBe(false);
    }
    const dear = hash.replace('$04$', '$16$');
    expect(isOutdated(dear)).toBe(false);
    expect(await passwords.verify(dear, 'right', 4)).toBe(false);
    for (const other of [null, '', '$2a$12$short', '$argon2id$v=19$m=19456']) {
      expect(isOutdated(other)).toBe(false);
    }
  });

  it('runs two checks at once, lets 32 wait and refuses the rest', async () => {
    let running = 0;
    let most = 0;
    let open: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const passwords = createPasswords({
      hash: async () => '',
      verify: async () => {
        running += 1;
        most = Math.max(most, running);
        await gate;
        running -= 1;
        return false;
      },
    });
    const checks = Array.from({ length: 40 }, () => passwords.verify(null, 'x'));
    const refusals = await Promise.allSettled(checks.slice(34));
    expect(refusals.map((refusal) => refusal.status)).toEqual(Array(6).fill('rejected'));
    expect(refusals[0]).toMatchObject({
      reason: { code: 'rate_limited', details: { limit: 'password_checks' } },
    });
    open();
    expect(await Promise.all(checks.slice(0, 34))).toEqual(Array(34).fill(false));
    expect(most).toBe(2);
  });
});
