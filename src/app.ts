import type { FastifyInstance } from 'fastify';
import { type Config, usesDefaultAdminPassword } from './config.js';
import { openDatabase } from './db/client.js';
import { migrate } from './db/migrate.js';
import { createServer } from './http/server.js';
import { type Clock, systemClock } from './lib/clock.js';
import { createDisposer } from './lib/disposer.js';
import type { Logger } from './lib/logger.js';
import { createMetrics } from './lib/metrics.js';
import { createMemoryHub } from './realtime/hub.js';
import { createAccounts } from './services/accounts.js';
import { createAlerts } from './services/alerts.js';
import { createApiKeys } from './services/api-keys.js';
import { createFleet } from './services/fleet.js';
import type { Services } from './services/index.js';
import { createIngest } from './services/ingest.js';
import { createJournal } from './services/journal.js';
import { createLogs } from './services/logs.js';
import { createMailer } from './services/mailer.js';
import { createPasswords } from './services/passwords.js';
import { createPresences } from './services/presence.js';
import { createPrincipals } from './services/principals.js';
import { createRegistration } from './services/registration.js';
import { createRetention } from './services/retention.js';
import { createRobots } from './services/robots.js';
import { createStatuses } from './services/status.js';
import { createStatusHistory } from './services/status-history.js';
import { createSystem } from './services/system.js';

export interface AppOptions {
  config: Config;
  log: Logger;
  version: string;
}

/** What tests replace. */
export interface AppOverrides {
  clock?: Clock;
}

/** A running Fleetwire. Any number may live in one process. */
export interface App {
  services: Services;
  server: FastifyInstance;
  /** Which database, for people. */
  database: string;
  /** Starts to accept connections. Returns the address, such as `http://127.0.0.1:8080`. */
  listen(): Promise<string>;
  /** Stops accepting, ends streams with a notice, stores what was accepted, closes the database. Within about 4 s. */
  close(): Promise<void>;
}

const CLOSE_PATIENCE_MS = 3_000;

/**
 * Opens everything in order: database, services, doors.
 * @throws what keeps it from starting, with everything closed again.
 */
export async function createApp(options: AppOptions, overrides: AppOverrides = {}): Promise<App> {
  const { config, log, version } = options;
  const clock = overrides.clock ?? systemClock;
  const disposer = createDisposer((name, error) =>
    log.error({ err: error }, `closing ${name} failed`),
  );
  try {
    return await open();
  } catch (error) {
    await disposer.close();
    throw error;
  }

  async function open(): Promise<App> {
    const metrics = createMetrics();
    const database = await openDatabase(config.database);
    const { db } = database;
    disposer.add('database', database.close);
    for (const name of await migrate(db)) log.info({ migration: name }, 'migrated');

    const hub = createMemoryHub();
    const fleet = createFleet(db);
    await fleet.load();
    const journal = createJournal({ db, hub, clock });
    const capBytes = config.limits.stream_buffer;
    const streams = { db, fleet, hub, clock, capBytes };

    const principals = createPrincipals({ db, clock, log });
    disposer.add('principals', principals.close);
    const accounts = createAccounts({
      db,
      clock,
      passwords: createPasswords(),
      admin: config.admin,
      isDefaultAdminPassword: usesDefaultAdminPassword(config),
    });
    await accounts.ensureAdmin();

    const ingest = createIngest({
      writer: database.ingest,
      limitRows: config.limits.ingest_queue,
      log,
      onCommit: metrics.ingestCommit,
    });
    disposer.add('ingest', ingest.drain);

    const retention = createRetention({
      db,
      clock,
      log,
      statusDays: config.retention.status_days,
      logDays: config.retention.log_days,
      onDeleted: metrics.rowsDeleted,
    });
    disposer.add('retention', retention.start());

    const presences = createPresences({
      fleet,
      hub,
      clock,
      timeoutMs: config.presence.timeout,
      capBytes,
    });
    presences.sweep();
    disposer.add('presence', presences.start());

    const { features, limits } = config;
    const services: Services = {
      accounts,
      principals,
      presences,
      alerts: createAlerts({ db, fleet, presences, clock, journal, streams }),
      apiKeys: createApiKeys({ db, clock, principals }),
      history: createStatusHistory({ db, fleet, clock }),
      logs: createLogs({ fleet, ingest, presences, clock }),
      registration: createRegistration({
        db,
        clock,
        log,
        accounts,
        mailer: createMailer(config.email),
        features,
        environment: config.server.environment,
        codeTtlMs: config.email.code_ttl,
      }),
      robots: createRobots({
        db,
        fleet,
        clock,
        quota: features.robot_quota_enabled ? limits.robots_per_account : null,
        purge: () => {
          retention
            .sweep()
            .catch((error: unknown) => log.error({ err: error }, 'retention failed'));
        },
      }),
      statuses: createStatuses({
        fleet,
        ingest,
        presences,
        hub,
        clock,
        strict: config.ingest.strict,
        capBytes,
      }),
      system: createSystem({ version, config, clock, checks: { database: database.ping } }),
    };

    metrics.gauge('ingest_queue_rows', 'Rows that wait for a commit', ingest.depth);
    metrics.gauge('database_size_bytes', 'What the database takes on disk', database.sizeBytes);
    metrics.gauge('stream_subscribers', 'Subscriptions to live streams', hub.subscriberCount);
    metrics.gaugeBy('robots', 'Robots by presence', 'presence', () => {
      const count = { online: 0, stale: 0, offline: 0 };
      for (const { presence } of fleet.all()) count[presence] += 1;
      return count;
    });

    const server = await createServer({ config, services, metrics, log, version });
    disposer.add('server', () => closeServer(server));
    return {
      services,
      server,
      database: database.description,
      listen: () => server.listen({ host: config.server.host, port: config.server.port }),
      close: disposer.close,
    };
  }
}

/** Lets requests in flight finish, but not for ever. */
async function closeServer(server: FastifyInstance): Promise<void> {
  const impatience = setTimeout(() => server.server.closeAllConnections(), CLOSE_PATIENCE_MS);
  await server.close();
  clearTimeout(impatience);
}
