import type { KyselyPlugin } from 'kysely';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { Config } from '../../src/config.js';
import { type DatabaseHandle, type Db, openDatabase } from '../../src/db/client.js';
import { migrate } from '../../src/db/migrate.js';
import type { Clock } from '../../src/lib/clock.js';
import { createLogger } from '../../src/lib/logger.js';
import { createAccounts } from '../../src/services/accounts.js';
import { createApiKeys } from '../../src/services/api-keys.js';
import { createPasswords, type PasswordEngine } from '../../src/services/passwords.js';
import { createPrincipals } from '../../src/services/principals.js';
import type { TestDatabase, TestDatabaseKind } from './databases.js';

/** 2026-01-25T12:00:00Z */
const START_MS = 1_769_342_400_000;

/** Time that stands still until it is told to go on; what is due runs then. */
export function createStoppedClock(): Clock & { advance(ms: number): void } {
  let now = START_MS;
  const timers = new Set<{ next: number; intervalMs: number; task: () => void }>();
  return {
    now: () => now,
    every(intervalMs, task) {
      const timer = { next: now + intervalMs, intervalMs, task };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance(ms) {
      now += ms;
      for (const timer of timers) {
        if (timer.next > now) continue;
        timer.next = now + timer.intervalMs;
        timer.task();
      }
    },
  };
}

/** A logger and the lines it wrote. */
export function createLogBook() {
  const lines: string[] = [];
  return { lines, log: createLogger('info', { write: (line) => void lines.push(line) }) };
}

/** Sees every query that goes through `db`, by its kind; `after` may hold its answer back or fail it. */
export function watchQueries(db: Db, after?: (kind: string) => Promise<void>) {
  const kinds: string[] = [];
  const byId = new WeakMap<object, string>();
  const plugin: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      kinds.push(node.kind);
      byId.set(queryId, node.kind);
      return node;
    },
    async transformResult({ result, queryId }) {
      await after?.(byId.get(queryId) ?? '');
      return result;
    },
  };
  return { kinds, db: db.withPlugin(plugin) };
}

/** An open, migrated database for one `describe`, whose identity tables are empty before each test. */
export function useDatabase(kind: TestDatabaseKind): () => Db {
  let database: TestDatabase;
  let handle: DatabaseHandle;
  beforeAll(async () => {
    database = await kind.create();
    handle = await openDatabase(database.config);
    await migrate(handle.db);
  });
  beforeEach(async () => {
    await handle.db.deleteFrom('email_verification_codes').execute();
    await handle.db.deleteFrom('api_keys').execute();
    await handle.db.deleteFrom('robots').execute();
    await handle.db.deleteFrom('accounts').execute();
  });
  afterAll(async () => {
    await handle.close();
    await database.dispose();
  });
  return () => handle.db;
}

export const ADMIN: Config['admin'] = { username: 'kairoio', password: 'kairoio' };

/** The services of identity over a real database, with a stopped clock. */
export function createIdentity(
  db: Db,
  overrides: { admin?: Config['admin']; engine?: PasswordEngine } = {},
) {
  const clock = createStoppedClock();
  const { lines, log } = createLogBook();
  const admin = overrides.admin ?? ADMIN;
  const isDefaultAdminPassword = admin.password === ADMIN.password;
  const passwords = createPasswords(overrides.engine);
  const accounts = createAccounts({ db, clock, passwords, admin, isDefaultAdminPassword });
  const principals = createPrincipals({ db, clock, log });
  const apiKeys = createApiKeys({ db, clock, principals });
  return { db, clock, log, lines, accounts, principals, apiKeys };
}

export type Identity = ReturnType<typeof createIdentity>;

/** A password engine that costs nothing, where the cost is not what is tested. */
export const cheapEngine: PasswordEngine = {
  hash: async (password) => `$argon2-cheap$${password}`,
  verify: async (hash, password) => hash === `$argon2-cheap$${password}`,
};

/** A new account and its principal. */
export async function addAccount({ accounts, principals }: Identity, email: string) {
  const account = await accounts.create({ email, password: 'a good password' });
  return { ...account, principal: await principals.resolve(account.certification_key) };
}

export async function addRobot(db: Db, accountId: string, robotId: string): Promise<void> {
  await db
    .insertInto('robots')
    .values({
      id: robotId,
      account_id: accountId,
      robot_type: 'mobile_robot',
      robot_name: null,
      presence_timeout_ms: null,
      active_map_id: null,
      stopped_at: null,
      stopped_by: null,
      deleted_at: null,
      created_at: START_MS,
      updated_at: START_MS,
    })
    .execute();
}
