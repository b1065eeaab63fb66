import argon2 from 'argon2';
import { describe, expect, it } from 'vitest';
import { createPasswords, type PasswordEngine } from '../../src/services/passwords.js';

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
