import { describe, expect, it } from 'vitest';
import { type Principal, ROBOT_SCOPES, SCOPES, type Scope } from '../../src/contract/access.js';
import { authRouter } from '../../src/routers/auth.js';
import type { Context } from '../../src/routers/context.js';
import { keysRouter } from '../../src/routers/keys.js';
import { router } from '../../src/routers/trpc.js';
import { hashToken } from '../../src/services/principals.js';
import { describeEachDatabase } from '../support/databases.js';
import {
  addAccount,
  addRobot,
  cheapEngine,
  createIdentity,
  useDatabase,
} from '../support/identity.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const REFUSED = { code: 'unauthenticated', message: 'Invalid certification key' };
const NOT_FOUND = { code: 'not_found', message: 'API key not found' };

describeEachDatabase('API keys', (kind) => {
  const db = useDatabase(kind);

  async function setUp() {
    const identity = createIdentity(db(), { engine: cheapEngine });
    const ann = await addAccount(identity, 'ann@example.com');
    const bob = await addAccount(identity, 'bob@example.com');
    await addRobot(db(), ann.account_id, 'r1');
    const { apiKeys, principals } = identity;
    /** A key of Ann's and the principal that it makes. */
    async function keyOfAnn(scopes: Scope[], lifeSeconds?: number) {
      const input = { name: 'k', scopes, expires_in_seconds: lifeSeconds };
      const made = await apiKeys.create(ann.principal, input);
      return { ...made, principal: await principals.resolve(made.key) };
    }
    /** The entry of the old secret that the only rotated key has left. */
    async function formerOf(caller: Principal) {
      const keys = await apiKeys.list(caller);
      return keys.find((key) => key.superseded_by !== null)!;
    }
    return { ...identity, ann, bob, keyOfAnn, formerOf };
  }

  describe('created', () => {
    it('are shown once and kept as a hash', async () => {
      const { ann, apiKeys, clock } = await setUp();
      const { key, ...made } = await apiKeys.create(ann.principal, { name: 'dashboard' });
      expect(key).toMatch(/^fwk_[A-Za-z0-9_-]{43}$/);
      expect(made).toEqual({
        id: expect.any(String),
        name: 'dashboard',
        hint: key.slice(0, 10),
        superseded_by: null,
        robot_id: null,
        scopes: SCOPES.filter((scope) => scope !== 'keys:write' && scope !== 'video:publish'),
        created_at: clock.now(),
        expires_at: null,
        last_used_at: null,
        revoked_at: null,
      });
      expect(await apiKeys.list(ann.principal)).toEqual([made]);
      const row = await db().selectFrom('api_keys').selectAll().executeTakeFirstOrThrow();
      expect(row.secret_hash).toBe(hashToken(key));
      expect(JSON.stringify(row)).not.toContain(key.slice(10));
    });

    it('for a robot do what robots do, or less', async () => {
      const { ann, apiKeys } = await setUp();
      const whole = await apiKeys.create(ann.principal, { name: 'r1', robot_id: 'r1' });
      expect(whole.key).toMatch(/^fwr_[A-Za-z0-9_-]{43}$/);
      expect(whole).toMatchObject({ robot_id: 'r1', scopes: ROBOT_SCOPES });
      const part = await apiKeys.create(ann.principal, {
        name: 'r1 status',
        robot_id: 'r1',
        scopes: ['status:write'],
      });
      expect(part.scopes).toEqual(['status:write']);
      const tooMuch = apiKeys.create(ann.principal, {
        name: 'r1 admin',
        robot_id: 'r1',
        scopes: ['status:write', 'robots:write'],
      });
      await expect(tooMuch).rejects.toMatchObject({
        code: 'invalid_input',
        message: expect.stringContaining('robots:write'),
      });
    });

    it('for a robot need a robot of the account', async () => {
      const { ann, bob, apiKeys, clock } = await setUp();
      const create = (robot_id: string) => apiKeys.create(ann.principal, { name: 'x', robot_id });
      await expect(create('r2')).rejects.toMatchObject({
        code: 'not_found',
        message: 'Robot not found',
      });
      await addRobot(db(), bob.account_id, 'r2');
      await expect(create('r2')).rejects.toMatchObject({
        code: 'forbidden',
        message: 'Access denied',
      });
      await db().updateTable('robots').set({ deleted_at: clock.now() }).execute();
      await expect(create('r1')).rejects.toMatchObject({ code: 'not_found' });
      expect(await apiKeys.list(ann.principal)).toEqual([]);
    });

    it('by a key can do no more than that key', async () => {
      const { apiKeys, keyOfAnn } = await setUp();
      const { principal } = await keyOfAnn(['keys:write', 'robots:read', 'status:read']);
      const wanted = { name: 'more', scopes: ['robots:read', 'robots:write'] as Scope[] };
      await expect(apiKeys.create(principal, wanted)).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringMatching(/lacks: robots:write$/),
      });
      const usual = await apiKeys.create(principal, { name: 'usual' });
      expect(usual.scopes).toEqual(['robots:read', 'status:read']);
      const robot = await apiKeys.create(principal, { name: 'robot', robot_id: 'r1' });
      expect(robot.scopes).toEqual(['robots:read', 'status:read']);
      const { principal: keysOnly } = await keyOfAnn(['keys:write']);
      await expect(apiKeys.create(keysOnly, { name: 'empty' })).rejects.toMatchObject({
        code: 'forbidden',
      });
    });

    it('by a key live no longer than that key', async () => {
      const { apiKeys, keyOfAnn } = await setUp();
      const { principal } = await keyOfAnn(['keys:write', 'robots:read'], 3_600);
      const create = (expires_in_seconds?: number) =>
        apiKeys.create(principal, { name: 'child', expires_in_seconds });
      await expect(create(3_601)).rejects.toMatchObject({ code: 'forbidden' });
      expect((await create(3_600)).expires_at).toBe(principal.expires_at);
      expect((await create()).expires_at).toBe(principal.expires_at);
      expect((await create(60)).expires_at).toBe(principal.expires_at! - 3_540_000);
    });

    it('are 1,000 at most for an account, however many ask at once, and dead ones do not count', async () => {
      const { ann, bob, apiKeys, clock } = await setUp();
      const now = clock.now();
      const row = {
        ...{ account_id: ann.account_id, robot_id: null, name: 'k', hint: '', scopes: '[]' },
        ...{ superseded_by: null, created_at: now, last_used_at: null },
      };
      const rows = Array.from({ length: 1_001 }, (_, n) => ({
        ...row,
        id: `k${n}`,
        secret_hash: `h${n}`,
        expires_at: n === 999 ? now : null,
        revoked_at: n === 1_000 ? now : null,
      }));
      for (let start = 0; start < rows.length; start += 500) {
        await db()
          .insertInto('api_keys')
          .values(rows.slice(start, start + 500))
          .execute();
      }
      const attempts = await Promise.allSettled(
        ['a', 'b', 'c', 'd'].map((name) => apiKeys.create(ann.principal, { name })),
      );
      expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(attempts.find(({ status }) => status === 'rejected')).toMatchObject({
        reason: { code: 'forbidden', details: { limit: 'keys_per_account' } },
      });
      await expect(
        apiKeys.rotate(ann.principal, { key_id: 'k1', overlap_seconds: 60 }),
      ).rejects.toMatchObject({ details: { limit: 'keys_per_account' } });
      await apiKeys.rotate(ann.principal, { key_id: 'k1', overlap_seconds: 0 });
      await apiKeys.create(bob.principal, { name: "another account's" });
    });
  });

  it('of another account can be neither seen, rotated nor revoked', async () => {
    const { ann, bob, apiKeys, principals } = await setUp();
    const { id, key } = await apiKeys.create(ann.principal, { name: 'k' });
    expect(await apiKeys.list(bob.principal)).toEqual([]);
    const rotate = apiKeys.rotate(bob.principal, { key_id: id, overlap_seconds: 0 });
    await expect(rotate).rejects.toMatchObject(NOT_FOUND);
    await expect(apiKeys.revoke(bob.principal, id)).rejects.toMatchObject(NOT_FOUND);
    await expect(apiKeys.revoke(ann.principal, 'unknown')).rejects.toMatchObject(NOT_FOUND);
    expect((await principals.resolve(key)).account_id).toBe(ann.account_id);
  });

  it('are listed working ones first, and forgotten 30 days after their end', async () => {
    const { ann, apiKeys, clock } = await setUp();
    const create = async (name: string, expires_in_seconds?: number) => {
      clock.advance(1_000);
      return apiKeys.create(ann.principal, { name, expires_in_seconds });
    };
    const names = async () => (await apiKeys.list(ann.principal)).map(({ name }) => name);
    await create('old');
    await create('new');
    const revoked = await create('revoked');
    await create('expired', 60);
    await apiKeys.revoke(ann.principal, revoked.id);
    clock.advance(60_000);
    expect(await names()).toEqual(['new', 'old', 'expired', 'revoked']);
    clock.advance(30 * DAY_MS);
    await create('newest');
    expect(await names()).toEqual(['newest', 'new', 'old']);
  });

  describe('rotated', () => {
    it('work with both secrets for the overlap, then with the new one alone', async () => {
      const { ann, apiKeys, clock, principals } = await setUp();
      const { key: oldKey, ...old } = await apiKeys.create(ann.principal, { name: 'k' });
      clock.advance(DAY_MS);
      await principals.resolve(oldKey);
      const { key, ...renewed } = await apiKeys.rotate(ann.principal, {
        key_id: old.id,
        overlap_seconds: 3_600,
      });
      expect(key).not.toBe(oldKey);
      expect(renewed).toEqual({ ...old, hint: key.slice(0, 10), created_at: clock.now() });
      const overlapEnd = clock.now() + HOUR_MS;
      expect(await principals.resolve(oldKey)).toMatchObject({
        key_id: old.id,
        expires_at: overlapEnd,
      });
      expect(await principals.resolve(key)).toMatchObject({ key_id: old.id, expires_at: null });
      expect(await apiKeys.list(ann.principal)).toEqual([
        renewed,
        { ...old, id: expect.any(String), superseded_by: old.id, expires_at: overlapEnd },
      ]);
      clock.advance(HOUR_MS - 1);
      await principals.resolve(oldKey);
      clock.advance(1);
      await expect(principals.resolve(oldKey)).rejects.toMatchObject(REFUSED);
      await principals.resolve(key);
    });

    it('without overlap stop the old secret at once', async () => {
      const { ann, apiKeys, principals } = await setUp();
      const old = await apiKeys.create(ann.principal, { name: 'k' });
      await principals.resolve(old.key);
      const { key } = await apiKeys.rotate(ann.principal, { key_id: old.id, overlap_seconds: 0 });
      expect(principals.cached(old.key)).toBeUndefined();
      await expect(principals.resolve(old.key)).rejects.toMatchObject(REFUSED);
      await principals.resolve(key);
      expect(await apiKeys.list(ann.principal)).toHaveLength(1);
    });

    it('have their full life again, while the old secret gets no longer one', async () => {
      const { ann, apiKeys, clock, formerOf } = await setUp();
      const old = await apiKeys.create(ann.principal, { name: 'k', expires_in_seconds: 7_200 });
      clock.advance(HOUR_MS + 1_000);
      const rotation = { key_id: old.id, overlap_seconds: 3_600 };
      const renewed = await apiKeys.rotate(ann.principal, rotation);
      expect(renewed.expires_at).toBe(clock.now() + 2 * HOUR_MS);
      const former = await formerOf(ann.principal);
      expect(former.expires_at).toBe(old.expires_at);
    });

    it('at the same time leave one working secret beside the overlapping ones', async () => {
      const { ann, apiKeys, clock, principals } = await setUp();
      const { id } = await apiKeys.create(ann.principal, { name: 'k' });
      const rotation = { key_id: id, overlap_seconds: 60 };
      const secrets = await Promise.all(
        Array.from({ length: 4 }, () => apiKeys.rotate(ann.principal, rotation)),
      );
      clock.advance(60_000);
      const outcomes = await Promise.allSettled(secrets.map(({ key }) => principals.resolve(key)));
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });

    it('are not those that no longer work, nor old secrets', async () => {
      const { ann, apiKeys, clock, formerOf } = await setUp();
      const { id } = await apiKeys.create(ann.principal, { name: 'k' });
      const rotate = (key_id: string) =>
        apiKeys.rotate(ann.principal, { key_id, overlap_seconds: 60 });
      await rotate(id);
      const former = await formerOf(ann.principal);
      await expect(rotate(former.id)).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining(id),
      });
      await apiKeys.revoke(ann.principal, id);
      await expect(rotate(id)).rejects.toMatchObject({ code: 'conflict' });
      const short = await apiKeys.create(ann.principal, { name: 's', expires_in_seconds: 60 });
      clock.advance(60_000);
      await expect(rotate(short.id)).rejects.toMatchObject({ code: 'conflict' });
    });

    it('by a key give it no secret that can do more or lives longer', async () => {
      const { ann, apiKeys, keyOfAnn } = await setUp();
      const { principal } = await keyOfAnn(['keys:write', 'robots:read'], 3_600);
      const strong = await apiKeys.create(ann.principal, { name: 'strong' });
      const rotate = (key_id: string) => apiKeys.rotate(principal, { key_id, overlap_seconds: 0 });
      await expect(rotate(strong.id)).rejects.toMatchObject({ code: 'forbidden' });
      const weak = await apiKeys.create(ann.principal, { name: 'weak', scopes: ['robots:read'] });
      expect((await rotate(weak.id)).expires_at).toBe(principal.expires_at);
      expect((await rotate(principal.key_id!)).expires_at).toBe(principal.expires_at);
    });
  });

  describe('revoked', () => {
    it('stop at once, with their old secrets, and may be revoked again', async () => {
      const { ann, apiKeys, clock, principals } = await setUp();
      const old = await apiKeys.create(ann.principal, { name: 'k' });
      const rotation = { key_id: old.id, overlap_seconds: 3_600 };
      const { key } = await apiKeys.rotate(ann.principal, rotation);
      await principals.resolve(old.key);
      await principals.resolve(key);
      const revoked = await apiKeys.revoke(ann.principal, old.id);
      expect(revoked).toMatchObject({ id: old.id, revoked_at: clock.now() });
      for (const secret of [old.key, key]) {
        expect(principals.cached(secret)).toBeUndefined();
        await expect(principals.resolve(secret)).rejects.toMatchObject(REFUSED);
      }
      clock.advance(HOUR_MS);
      const again = await apiKeys.revoke(ann.principal, old.id);
      expect(again.revoked_at).toBe(revoked.revoked_at);
    });

    it('early, an old secret stops alone', async () => {
      const { ann, apiKeys, principals, formerOf } = await setUp();
      const old = await apiKeys.create(ann.principal, { name: 'k' });
      const rotation = { key_id: old.id, overlap_seconds: 3_600 };
      const { key } = await apiKeys.rotate(ann.principal, rotation);
      const former = await formerOf(ann.principal);
      await apiKeys.revoke(ann.principal, former.id);
      await expect(principals.resolve(old.key)).rejects.toMatchObject(REFUSED);
      await principals.resolve(key);
    });
  });

  describe('over tRPC', () => {
    async function connect() {
      const identity = await setUp();
      const { accounts, apiKeys, principals, log } = identity;
      const services = { accounts, apiKeys, principals } as Context['services'];
      const app = router({ auth: authRouter, keys: keysRouter });
      const as = (token?: string) =>
        app.createCaller({
          services,
          log,
          caller: { door: 'trpc', ip: '203.0.113.7', origin: 'http://localhost', loopback: false },
          credential: token,
          authenticate: () => principals.resolve(token),
          issueTicket: () => expect.unreachable('no ticket is asked for'),
        });
      return { ...identity, as };
    }

    it('carry RFC 3339 times and go through their whole life', async () => {
      const { ann, as, clock } = await connect();
      const caller = as(ann.certification_key);
      const made = await caller.keys.create({ name: 'k', expires_in_seconds: 60 });
      expect(made).toMatchObject({
        created_at: '2026-01-25T12:00:00.000Z',
        expires_at: '2026-01-25T12:01:00.000Z',
        last_used_at: null,
      });
      expect(await as(made.key).auth.whoami()).toEqual({
        kind: 'api_key',
        account_id: ann.account_id,
        key_id: made.id,
        robot_id: null,
        scopes: made.scopes,
        expires_at: '2026-01-25T12:01:00.000Z',
      });
      clock.advance(1_000);
      const { key: renewedKey, ...renewed } = await caller.keys.rotate({ key_id: made.id });
      expect(await caller.keys.list()).toMatchObject({ count: 2, keys: [renewed, {}] });
      const revoked = await caller.keys.revoke({ key_id: made.id });
      expect(revoked).toEqual({ ...renewed, revoked_at: '2026-01-25T12:00:01.000Z' });
      await expect(as(renewedKey).auth.whoami()).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    });

    it('are managed by nobody without keys:write', async () => {
      const { ann, as, apiKeys } = await connect();
      const plain = await apiKeys.create(ann.principal, { name: 'plain' });
      const robot = await apiKeys.create(ann.principal, { name: 'robot', robot_id: 'r1' });
      for (const { key, id } of [plain, robot]) {
        const { keys } = as(key);
        const calls = [
          keys.list(),
          keys.create({ name: 'x' }),
          keys.rotate({ key_id: id }),
          keys.revoke({ key_id: id }),
        ];
        for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'FORBIDDEN' });
      }
      await expect(as().keys.list()).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    });
  });
});
