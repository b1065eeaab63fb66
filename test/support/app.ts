import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { type App, type AppOverrides, createApp } from '../../src/app.js';
import { type Config, loadConfig } from '../../src/config.js';
import type { Principal } from '../../src/contract/access.js';
import { createLogger, type Logger } from '../../src/lib/logger.js';
import type { TestDatabase, TestDatabaseKind } from './databases.js';

type Partly<T> = { [K in keyof T]?: Partial<T[K]> };

export interface StartAppOptions extends AppOverrides {
  /** What differs from the defaults of these tests, by section. */
  config?: Partly<Omit<Config, 'database'>>;
  log?: Logger;
}

/** An answer of the REST API, read. `json` is undefined when the body is empty. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests compare answers, whatever they are
  json: any;
}

export interface Account {
  account_id: string;
  /** The certification key. */
  token: string;
  principal: Principal;
}

export interface TestApp {
  app: App;
  /** Such as `http://127.0.0.1:40123`. */
  url: string;
  /** The built-in admin. */
  admin: Account;
  /**
   * One REST call, as the admin unless `token` says otherwise (null: as nobody). A string body goes out as it is, of the
   * content type `type` or as JSON.
   */
  call(
    method: string,
    path: string,
    body?: unknown,
    token?: string | null,
    type?: string,
  ): Promise<Answer>;
  /** A new account, with its token. */
  addAccount(email?: string): Promise<Account>;
  /** Stops it; the database stays. Calling it again is harmless. */
  close(): Promise<void>;
}

/**
 * The whole server in this process, on a free port of 127.0.0.1, over a new database of this kind, or over one that is
 * there already. Rate limits are off. Call it in a test: it closes, and a new database goes, when that test ends.
 */
export async function startApp(
  over: TestDatabaseKind | TestDatabase,
  options: StartAppOptions = {},
): Promise<TestApp> {
  const database = 'create' in over ? await over.create() : over;
  if (database !== over) onTestFinished(database.dispose);
  const app = await openApp(database, options);
  onTestFinished(app.close);
  return app;
}

/** The same for all tests of a `describe`. */
export function useApp(kind: TestDatabaseKind, options: StartAppOptions = {}): () => TestApp {
  let database: TestDatabase;
  let app: TestApp;
  beforeAll(async () => {
    database = await kind.create();
    app = await openApp(database, options);
  });
  afterAll(async () => {
    await app?.close();
    await database?.dispose();
  });
  return () => app;
}

async function openApp(database: TestDatabase, options: StartAppOptions): Promise<TestApp> {
  const config = configOf(database, options.config);
  const log = options.log ?? createLogger('silent', { write: () => {} });
  const mediaWorker = process.env.MEDIASOUP_WORKER_BIN;
  const app = await createApp({ config, log, version: '0.0.0-test', mediaWorker }, options);
  const url = await app.listen();
  const { accounts, principals } = app.services;

  async function accountOf(login: { account_id: string; certification_key: string }) {
    const { account_id, certification_key: token } = login;
    return { account_id, token, principal: await principals.resolve(token) };
  }
  const admin = await accountOf(await accounts.login(config.admin, { loopback: true }));
  let added = 0;
  return {
    app,
    url,
    admin,
    call: (method, path, body, token = admin.token, type?) =>
      call(`${url}${path}`, method, body, token, type),
    addAccount: async (email = `owner-${++added}@example.com`) =>
      accountOf(await accounts.create({ email, password: 'a good password' })),
    close: app.close,
  };
}

function configOf(database: TestDatabase, overrides: StartAppOptions['config'] = {}): Config {
  const { config } = loadConfig({ env: {} });
  const sections = Object.entries({
    ...overrides,
    server: { host: '127.0.0.1', port: 0, ...overrides.server },
    features: { rate_limiting_enabled: false, ...overrides.features },
  }).map(([name, keys]) => [name, { ...config[name as keyof Config], ...keys }]);
  return { ...config, ...Object.fromEntries(sections), database: database.config };
}

/** One HTTP call to any Fleetwire. */
export async function call(
  url: string,
  method: string,
  body?: unknown,
  token?: string | null,
  type = 'application/json',
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': type }),
      ...(token && { authorization: `Bearer ${token}` }),
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  const json = isJson && text !== '' ? JSON.parse(text) : undefined;
  return { status: response.status, headers: response.headers, text, json };
}
