import { describe, expect, it } from 'vitest';
import { ROBOT_SCOPES, SCOPES } from '../../src/contract/access.js';
import { createPrincipals, hashToken } from '../../src/services/principals.js';
import { describeEachDatabase } from '../support/databases.js';
import {
  addAccount,
  addRobot,
  cheapEngine,
  createIdentity,
  useDatabase,
  watchQueries,
} from '../support/identity.js';

const REFUSED = { code: 'unauthenticated', message: 'Invalid certification key' };
const UNKNOWN_KEY = '11111111-2222-4333-8444-555555555555';

describeEachDatabase('principals', (kind) => {
  const db = useDatabase(kind);

  /** Services over the database, an account, and a resolver of its own whose queries are watched. */
  async function setUp(after?: (kind: string) => Promise<void>) {
    const identity = createIdentity(db(), { engine: cheapEngine });
    const ann = await addAccount(identity, 'ann@example.com');
    const watched = watchQueries(db(), after);
    const principals = createPrincipals({ ...identity, db: watched.db });
    return { ...identity, ann, principals, queries: watched.kinds };
  }

  it('knows an account by its certification key', async () => {
    const { ann, principals } = await setUp();
    expect(await principals.resolve(ann.certification_key)).toEqual({
      kind: 'account',
      account_id: ann.account_id,
      key_id: null,
      robot_id: null,
      scopes: new Set(SCOPES),
      expires_at: null,
    });
  });

  it('knows API keys and robot keys with what they may do', async () => {
    const { ann, apiKeys, principals } = await setUp();
    await addRobot(db(), ann.account_id, 'r1');
    const forAll = await apiKeys.create(ann.principal, {
      name: 'reader',
      scopes: ['robots:read'],
      expires_in_seconds: 60,
    });
    const forRobot = await apiKeys.create(ann.principal, { name: 'r1', robot_id: 'r1' });
    expect(await principals.resolve(forAll.key)).toEqual({
      kind: 'api_key',
      account_id: ann.account_id,
      key_id: forAll.id,
      robot_id: null,
      scopes: new Set(['robots:read']),
      expires_at: forAll.expires_at,
    });
    expect(await principals.resolve(forRobot.key)).toMatchObject({
      kind: 'robot_key',
      key_id: forRobot.id,
      robot_id: 'r1',
      scopes: new Set(ROBOT_SCOPES),
    });
  });

  it('refuses no token, an unknown one, a cut one and one that is too long', async () => {
    const { ann, principals } = await setUp();
    const key = ann.certification_key;
    const others = [undefined, '', UNKNOWN_KEY, key.slice(1), key.toUpperCase(), `${key} `];
    for (const token of [...others, 'fwk_unknown', 'x'.repeat(100_000)]) {
      await expect(principals.resolve(token)).rejects.toMatchObject(REFUSED);
    }
  });

  it('does not take the stored hash of a key for the key', async () => {
    const { ann, principals } = await setUp();
    const stolen = hashToken(ann.certification_key);
    await expect(principals.resolve(stolen)).rejects.toMatchObject(REFUSED);
  });

  it('answers from memory for one second, then looks again', async () => {
    const { ann, clock, principals, queries } = await setUp();
    const token = ann.certification_key;
    expect(principals.cached(token)).toBeUndefined();
    const principal = await principals.resolve(token);
    expect(principals.cached(token)).toBe(principal);
    clock.advance(999);
    expect(principals.cached(token)).toBe(principal);
    expect(await principals.resolve(token)).toBe(principal);
    expect(queries).toHaveLength(1);
    clock.advance(1);
    expect(principals.cached(token)).toBeUndefined();
    await principals.resolve(token);
    expect(queries).toHaveLength(2);
  });

  it('joins look-ups of one token that come together', async () => {
    const { ann, principals, queries } = await setUp();
    const all = await Promise.all(
      Array.from({ length: 20 }, () => principals.resolve(ann.certification_key)),
    );
    expect(new Set(all).size).toBe(1);
    expect(queries).toHaveLength(1);
  });

  it('remembers a refusal for one second', async () => {
    const { clock, principals, queries } = await setUp();
    for (const expected of [1, 1, 1]) {
      await expect(principals.resolve(UNKNOWN_KEY)).rejects.toMatchObject(REFUSED);
      expect(queries).toHaveLength(expected);
    }
    clock.advance(1_000);
    await expect(principals.resolve(UNKNOWN_KEY)).rejects.toMatchObject(REFUSED);
    expect(queries).toHaveLength(2);
  });

  it('does not forget those who belong here while somebody guesses', async () => {
    const { ann, ...identity } = await setUp();
    const principals = createPrincipals(identity, { known: 2, refused: 2 });
    await principals.resolve(ann.certification_key);
    for (const guess of ['a', 'b', 'c', 'd']) {
      await expect(principals.resolve(guess)).rejects.toMatchObject(REFUSED);
    }
    expect(principals.cached(ann.certification_key)).toBeDefined();
  });

  it('remembers no more than it may, the latest first', async () => {
    const { ann, apiKeys, ...identity } = await setUp();
    const principals = createPrincipals(identity, { known: 2, refused: 2 });
    const made = ['1', '2', '3'].map((name) => apiKeys.create(ann.principal, { name }));
    const keys = (await Promise.all(made)).map(({ key }) => key);
    for (const key of keys) await principals.resolve(key);
    expect(keys.map((key) => principals.cached(key) !== undefined)).toEqual([false, true, true]);
  });

  it('does not remember that the database failed', async () => {
    let isDown = true;
    const { ann, principals } = await setUp(async () => {
      if (isDown) throw new Error('database is down');
    });
    await expect(principals.resolve(ann.certification_key)).rejects.toThrow('database is down');
    isDown = false;
    expect(await principals.resolve(ann.certification_key)).toEqual(ann.principal);
  });

  it('looks at the expiry on every hit', async () => {
    const { ann, apiKeys, clock, principals } = await setUp();
    const input = { name: 'short', expires_in_seconds: 60 };
    const { key } = await apiKeys.create(ann.principal, input);
    clock.advance(59_500);
    await principals.resolve(key);
    expect(principals.cached(key)).toBeDefined();
    clock.advance(499);
    expect(principals.cached(key)).toBeDefined();
    clock.advance(1);
    expect(principals.cached(key)).toBeUndefined();
    await expect(principals.resolve(key)).rejects.toMatchObject(REFUSED);
  });

  it("stops a robot's key when the robot is being deleted, or belongs to somebody else", async () => {
    const { ann, apiKeys, clock, principals } = await setUp();
    await addRobot(db(), ann.account_id, 'r1');
    const { key } = await apiKeys.create(ann.principal, { name: 'r1', robot_id: 'r1' });
    await principals.resolve(key);
    await db().updateTable('robots').set({ deleted_at: clock.now() }).execute();
    clock.advance(1_000);
    await expect(principals.resolve(key)).rejects.toMatchObject(REFUSED);
    const robot = { deleted_at: null, account_id: ann.account_id };
    await db().updateTable('robots').set(robot).execute();
    clock.advance(1_000);
    await principals.resolve(key);
    const other = createIdentity(db(), { engine: cheapEngine });
    const bob = await addAccount(other, 'bob@example.com');
    await db().updateTable('robots').set({ account_id: bob.account_id }).execute();
    clock.advance(1_000);
    await expect(principals.resolve(key)).rejects.toMatchObject(REFUSED);
  });

  describe('a revoked key', () => {
    it('stops at once here and within a second in another server', async () => {
      const here = createIdentity(db(), { engine: cheapEngine });
      const { apiKeys, clock } = here;
      const ann = await addAccount(here, 'ann@example.com');
      const elsewhere = createPrincipals(here);
      const { id, key } = await apiKeys.create(ann.principal, { name: 'k' });
      await Promise.all([here.principals.resolve(key), elsewhere.resolve(key)]);
      expect(here.principals.cached(key)).toBeDefined();
      await apiKeys.revoke(ann.principal, id);
      expect(here.principals.cached(key)).toBeUndefined();
      await expect(here.principals.resolve(key)).rejects.toMatchObject(REFUSED);
      expect(elsewhere.cached(key)).toBeDefined();
      clock.advance(1_000);
      await expect(elsewhere.resolve(key)).rejects.toMatchObject(REFUSED);
    });

    it('is not kept by a look-up that was under way and had seen it alive', async () => {
      let release: () => void = () => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      let seen: () => void = () => {};
      const seenAlive = new Promise<void>((resolve) => {
        seen = resolve;
      });
      const { ann, apiKeys, principals } = await setUp(async () => {
        seen();
        await released;
      });
      const { id, key } = await apiKeys.create(ann.principal, { name: 'k' });
      const underWay = principals.resolve(key);
      await seenAlive;
      await apiKeys.revoke(ann.principal, id);
      principals.forget(hashToken(key));
      release();
      await underWay;
      expect(principals.cached(key)).toBeUndefined();
      await expect(principals.resolve(key)).rejects.toMatchObject(REFUSED);
    });
  });

  describe('the last use of a key', () => {
    const lastUsed = async (id: string) => {
      const row = await db()
        .selectFrom('api_keys')
        .select('last_used_at')
        .where('id', '=', id)
        .executeTakeFirstOrThrow();
      return row.last_used_at;
    };
    const updates = (queries: string[]) =>
      queries.filter((query) => query === 'UpdateQueryNode').length;

    it('is written after the request and at most once a minute', async () => {
      const { ann, apiKeys, clock, principals, queries } = await setUp();
      const { id, key } = await apiKeys.create(ann.principal, { name: 'k' });
      const firstUse = clock.now();
      await principals.resolve(key);
      expect(updates(queries)).toBe(0);
      for (let second = 0; second < 59; second += 1) {
        clock.advance(1_000);
        await principals.resolve(key);
      }
      await expect.poll(() => lastUsed(id)).toBe(firstUse);
      expect(updates(queries)).toBe(1);
      clock.advance(1_000);
      await principals.resolve(key);
      await principals.close();
      expect(await lastUsed(id)).toBe(firstUse + 60_000);
      expect(updates(queries)).toBe(2);
    });

    it('stays with the secret that was used when the key is rotated', async () => {
      const { ann, apiKeys, principals } = await setUp();
      const { id, key } = await apiKeys.create(ann.principal, { name: 'k' });
      await principals.resolve(key);
      await apiKeys.rotate(ann.principal, { key_id: id, overlap_seconds: 60 });
      await principals.close();
      expect(await lastUsed(id)).toBeNull();
    });

    it('is not lost when the server stops, and never noted for a key that was not used', async () => {
      const { ann, apiKeys, clock, principals } = await setUp();
      const used = await apiKeys.create(ann.principal, { name: 'used' });
      const idle = await apiKeys.create(ann.principal, { name: 'idle' });
      await principals.resolve(used.key);
      await principals.close();
      expect(await lastUsed(used.id)).toBe(clock.now());
      expect(await lastUsed(idle.id)).toBeNull();
    });

    it('that cannot be written is a line in the log and nobody else’s trouble', async () => {
      const { ann, apiKeys, principals, lines } = await setUp(async (query) => {
        if (query === 'UpdateQueryNode') throw new Error('disk is full');
      });
      const { key } = await apiKeys.create(ann.principal, { name: 'k' });
      await principals.resolve(key);
      await principals.close();
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain('disk is full');
      expect(lines[0]).not.toContain(key);
      expect(principals.cached(key)).toBeDefined();
    });
  });
});
