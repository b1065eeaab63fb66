import type { FastifyInstance } from 'fastify';
import { type Config, usesDefaultAdminPassword } from './config.js';
import type { Adoption } from './db/adopt/adopt.js';
import { adoptionLog, logAdoption } from './db/adopt/log.js';
import { prepareDatabase } from './db/adopt/prepare.js';
import { openDatabase } from './db/client.js';
import { createServer } from './http/server.js';
import { type Clock, systemClock } from './lib/clock.js';
import { createDisposer } from './lib/disposer.js';
import { createJsonSchemas } from './lib/json-schema.js';
import type { Logger } from './lib/logger.js';
import { createMetrics } from './lib/metrics.js';
import { signLivekitToken } from './media/livekit/token.js';
import { createMemoryHub } from './realtime/hub.js';
import { createAccounts } from './services/accounts.js';
import { createActions } from './services/actions.js';
import { createAlertLedger } from './services/alert-ledger.js';
import { createAlertRules } from './services/alert-rules.js';
import { createAlerts } from './services/alerts.js';
import { createApiKeys } from './services/api-keys.js';
import { createAudit } from './services/audit.js';
import { startCommandExpiry } from './services/command-expiry.js';
import { createCommands } from './services/commands.js';
import { createFleet } from './services/fleet.js';
import type { Services } from './services/index.js';
import { createIngest } from './services/ingest.js';
import { createJournal } from './services/journal.js';
import { createLogs } from './services/logs.js';
import { createMailer } from './services/mailer.js';
import { createMaps } from './services/maps.js';
import { createMessageSchemas } from './services/message-schemas.js';
import { createMessages } from './services/messages.js';
import { createNotifications } from './services/notifications.js';
import { createOutbox } from './services/notifications-outbox.js';
import { createWebhookSender } from './services/notifications-webhook.js';
import { createDeliveryWorker } from './services/notifications-worker.js';
import { createPasswords } from './services/passwords.js';
import { createPresences } from './services/presence.js';
import { createPrincipals } from './services/principals.js';
import { createRegistration } from './services/registration.js';
import { createRetention } from './services/retention.js';
import { createRobots } from './services/robots.js';
import { createRuleEngine } from './services/rule-engine.js';
import { createSchemas } from './services/schemas.js';
import { createStatuses } from './services/status.js';
import { createStatusHistory } from './services/status-history.js';
import { createStreamingTokens } from './services/streaming-token.js';
import { createSystem } from './services/system.js';
import { createTelemetryEvents } from './services/telemetry-events.js';
import { createTickets } from './services/tickets.js';

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
  /** Set when the database was one of the KairoIO server until just now. */
  adoption: Adoption | undefined;
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
    const nowMs = clock.now();
    const { adoption, migrations } = await prepareDatabase(db, { nowMs, onStep: adoptionLog(log) });
    if (adoption) logAdoption(log, adoption);
    for (const name of migrations) log.info({ migration: name }, 'migrated');

    const hub = createMemoryHub();
    const fleet = createFleet(db);
    await fleet.load();
    const journal = createJournal({ ...database, hub, clock });
    const capBytes = config.limits.stream_buffer;
    const streams = { db, fleet, hub, clock, capBytes };

    const mailer = createMailer(config.email);
    const targets = {
      allowPrivate: config.notifications.allow_private_targets,
      requireHttps: config.server.environment === 'production',
    };
    const deliveries = createDeliveryWorker({
      ...{ db, clock, log, mailer, random: Math.random },
      sendWebhook: createWebhookSender({ rules: targets, userAgent: `Fleetwire/${version}` }),
    });
    disposer.add('notifications', deliveries.start());
    const outbox = createOutbox({ clock, onAdded: deliveries.wake });

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
    const audit = createAudit({ db, clock, log, accountIdOf: accounts.idOf });
    disposer.add('audit', audit.close);

    const ingest = createIngest({
      writer: database.ingest,
      limitRows: config.limits.ingest_queue,
      log,
      onCommit: metrics.ingestCommit,
      onStored: createTelemetryEvents(hub),
    });
    disposer.add('ingest', ingest.drain);

    const retention = createRetention({
      db,
      clock,
      log,
      statusDays: config.retention.status_days,
      logDays: config.retention.log_days,
      messageDays: config.retention.message_days,
      eventDays: config.retention.event_days,
      auditDays: config.retention.audit_days,
      onDeleted: metrics.rowsDeleted,
    });
    disposer.add('retention', retention.start());

    const ledger = createAlertLedger({ journal, observers: [outbox] });
    const timeoutMs = config.presence.timeout;
    const rules = createRuleEngine({ db, ledger, fleet, clock, log, timeoutMs });
    await rules.load();
    disposer.add('alert rules', rules.start());

    const presences = createPresences({
      fleet,
      hub,
      clock,
      timeoutMs,
      capBytes,
      onChange: rules.presenceChanged,
    });
    presences.sweep();
    disposer.add('presence', presences.start());

    const jsonSchemas = createJsonSchemas();
    const messageSchemas = createMessageSchemas({ db, clock, jsonSchemas });
    const { features, limits } = config;
    const actions = createActions({ db, clock, jsonSchemas });
    disposer.add('command expiry', startCommandExpiry({ db, journal, clock, log }));
    const services: Services = {
      accounts,
      actions,
      principals,
      presences,
      alertRules: createAlertRules({ db, ledger, fleet, clock, engine: rules }),
      alerts: createAlerts({
        ...{ db, ledger, fleet, presences, clock, streams },
        onResolved: rules.alertResolved,
      }),
      apiKeys: createApiKeys({ db, clock, principals }),
      audit,
      commands: createCommands({
        ...{ db, fleet, journal, streams, presences, actions, clock, capBytes },
        openLimit: limits.commands_per_robot,
      }),
      history: createStatusHistory({ db, fleet, clock }),
      logs: createLogs({ db, fleet, ingest, presences, clock, streams }),
      messages: createMessages({ db, fleet, ingest, presences, clock, streams, messageSchemas }),
      messageSchemas,
      maps: createMaps({
        db,
        fleet,
        clock,
        uploadLimitBytes: config.maps.upload_limit,
        pixelLimit: config.maps.pixel_limit,
        mapsPerAccount: limits.maps_per_account,
      }),
      notifications: createNotifications({
        ...{ db, clock, outbox },
        worker: deliveries,
        rules: targets,
        canMail: mailer !== null,
      }),
      registration: createRegistration({
        db,
        clock,
        log,
        accounts,
        mailer,
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
      schemas: createSchemas({ fleet, messageSchemas }),
      statuses: createStatuses({
        fleet,
        ingest,
        presences,
        rules,
        hub,
        clock,
        strict: config.ingest.strict,
        capBytes,
      }),
      streamingTokens: createStreamingTokens({
        ...{ fleet, clock, livekit: config.livekit },
        sign: signLivekitToken,
      }),
      system: createSystem({ version, config, clock, checks: { database: database.ping } }),
      tickets: createTickets(clock),
    };

    metrics.gauge('ingest_queue_rows', 'Rows that wait for a commit', ingest.depth);
    metrics.gauge('database_size_bytes', 'What the database takes on disk', database.sizeBytes);
    metrics.gauge('stream_subscribers', 'Subscriptions to live streams', hub.subscriberCount);
    metrics.gaugeBy('robots', 'Robots by presence', 'presence', () => {
      const count = { online: 0, stale: 0, offline: 0 };
      for (const { presence } of fleet.all()) count[presence] += 1;
      return count;
    });

    const server = await createServer({ config, services, metrics, log, clock, version });
    disposer.add('server', () => closeServer(server));
    return {
      services,
      server,
      database: database.description,
      adoption,
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
