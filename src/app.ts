import type { FastifyInstance } from 'fastify';
import { type Config, usesDefaultAdminPassword } from './config.js';
import type { Adoption } from './db/adopt/adopt.js';
import { adoptionLog, logAdoption } from './db/adopt/log.js';
import { prepareDatabase } from './db/adopt/prepare.js';
import { openDatabase } from './db/client.js';
import { createArrivals } from './http/arrivals.js';
import {
  createListeners,
  type FurtherAddress,
  type Listeners,
  readCertificates,
} from './http/listeners.js';
import { createServer } from './http/server.js';
import { type Clock, systemClock } from './lib/clock.js';
import { createDisposer } from './lib/disposer.js';
import type { Logger } from './lib/logger.js';
import { createMetrics } from './lib/metrics.js';
import { onDemand } from './lib/on-demand.js';
import { signLivekitToken } from './media/livekit/token.js';
import { mediasoupOptions } from './media/mediasoup/options.js';
import { createMediasoupProvider } from './media/mediasoup/provider.js';
import type { MediaProvider } from './media/provider.js';
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
import { createGuests } from './services/guests.js';
import type { Services } from './services/index.js';
import { createIngest } from './services/ingest.js';
import { createJournal } from './services/journal.js';
import { createLogs } from './services/logs.js';
import { createMailer } from './services/mailer.js';
import { createMaps } from './services/maps.js';
import { createMediaSessions } from './services/media-sessions.js';
import { createMeetings } from './services/meetings.js';
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
import { createRelay } from './services/relay.js';
import { createRetention } from './services/retention.js';
import { createRobotCamera } from './services/robot-camera.js';
import { createRobotRtp } from './services/robot-rtp.js';
import { createRobotVideo } from './services/robot-video.js';
import { createRobotViewers } from './services/robot-viewers.js';
import { createRobots } from './services/robots.js';
import { createRooms } from './services/rooms.js';
import { createRuleEngine } from './services/rule-engine.js';
import { createSchemas } from './services/schemas.js';
import { createStatuses } from './services/status.js';
import { createStatusHistory } from './services/status-history.js';
import { createStreamingTokens } from './services/streaming-token.js';
import { createSystem } from './services/system.js';
import { createTelemetryEvents } from './services/telemetry-events.js';
import { createTickets } from './services/tickets.js';
import { createVideoSessions } from './services/video-sessions.js';

export interface AppOptions {
  config: Config;
  log: Logger;
  version: string;
  /** The value of MEDIASOUP_WORKER_BIN, which mediasoup reads for itself. */
  mediaWorker?: string | undefined;
}

/** What tests replace. */
export interface AppOverrides {
  clock?: Clock;
}

/** A running Fleetwire. Any number may live in one process. */
export interface App {
  services: Services;
  server: FastifyInstance;
  /** Where video rooms are. */
  media: MediaProvider;
  /** Which database, for people. */
  database: string;
  /** Set when the database was one of the KairoIO server until just now. */
  adoption: Adoption | undefined;
  /** Starts to accept connections. Returns the address, such as `http://127.0.0.1:8080`. */
  listen(): Promise<string>;
  /** Those of `server.listeners`, in order, from when it listens. */
  furtherAddresses(): readonly FurtherAddress[];
  /** Stops accepting, ends streams with a notice, stores what was accepted, closes the database. Within about 4 s. */
  close(): Promise<void>;
}

const CLOSE_PATIENCE_MS = 3_000;
/** Where `server.read_timeout` sets no limit. */
const TLS_HANDSHAKE_LIMIT_MS = 15_000;

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
    const certificates = await readCertificates(config.server.listeners);
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

    const media = createMediasoupProvider(
      mediasoupOptions(config.media, { workerBinary: options.mediaWorker, clock, log }),
    );
    disposer.add('media', media.close);

    const viewers = createRobotViewers(clock);
    disposer.add('viewers', viewers.close);
    const robotVideo = createRobotVideo({
      ...{ media, fleet, viewers, clock, log },
      maxMembers: config.media.max_members,
    });
    const robotCamera = createRobotCamera({
      ...{ fleet, presences, viewers, clock, video: robotVideo },
      limitBytes: config.media.jpeg_limit,
      framesPerSecond: config.features.rate_limiting_enabled ? config.media.jpeg_fps : Infinity,
      readersPerRobot: config.media.mjpeg_readers,
    });
    disposer.add('robot cameras', robotCamera.close);
    const videoSessions = createVideoSessions({ video: robotVideo, fleet, clock });

    const meetings = createMeetings({
      ...{ media, clock, log },
      maxMembers: Math.min(config.rooms.max_members, config.media.max_members),
    });
    disposer.add('meetings', meetings.close);
    const rooms = createRooms({ db, clock, log, meetings, settings: config.rooms });
    disposer.add('rooms', rooms.start());

    const mediaSessions = createMediaSessions({
      ...{ rooms, meetings, robotVideo, hub, clock, capBytes },
      sessionsPerIp: config.limits.sockets_per_ip,
    });

    const jsonSchemas = onDemand(async () =>
      (await import('./lib/json-schema.js')).createJsonSchemas(),
    );
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
      guests: createGuests(config.access),
      history: createStatusHistory({ db, fleet, clock }),
      logs: createLogs({ db, fleet, ingest, presences, clock, streams }),
      messages: createMessages({ db, fleet, ingest, presences, clock, streams, messageSchemas }),
      messageSchemas,
      mediaSessions,
      meetings,
      rooms,
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
      relay: createRelay(),
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
      robotCamera,
      robotRtp: createRobotRtp({ media, video: robotVideo, fleet }),
      robotVideo,
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
      system: createSystem({
        ...{ version, config, clock, media },
        checks: { database: database.ping },
      }),
      tickets: createTickets(clock),
      videoSessions,
    };

    metrics.gauge('ingest_queue_rows', 'Rows that wait for a commit', ingest.depth);
    metrics.gauge('database_size_bytes', 'What the database takes on disk', database.sizeBytes);
    metrics.gauge('stream_subscribers', 'Subscriptions to live streams', hub.subscriberCount);
    metrics.gauge('media_rooms', 'Video rooms that are open', () => media.counts().rooms);
    metrics.gauge('media_members', 'Members of video rooms', () => media.counts().members);
    metrics.gauge('media_sessions', 'Sessions over tRPC in video rooms', mediaSessions.count);
    metrics.gauge('media_workers', 'Media workers that run', () => media.counts().workers);
    metrics.gauge(
      'media_worker_restarts',
      'Media workers that died since the start',
      () => media.counts().workerRestarts,
    );
    metrics.gauge('robot_viewers', 'Those who watch robots', viewers.total);
    metrics.gauge('robot_cameras', 'Robots whose newest JPEG is kept', robotCamera.count);
    metrics.gaugeBy('video_sessions', 'WHIP and WHEP sessions that are open', 'role', () => ({
      ...videoSessions.count(),
    }));
    metrics.gauge('relay_callers', 'Callers of the relay', services.relay.count);
    metrics.gaugeBy('robots', 'Robots by presence', 'presence', () => {
      const count = { online: 0, stale: 0, offline: 0 };
      for (const { presence } of fleet.all()) count[presence] += 1;
      return count;
    });

    const arrivals = createArrivals();
    const server = await createServer({
      ...{ config, services, metrics, arrivals, log, clock, version },
    });
    const listeners = createListeners({
      ...{ certificates, arrivals, clock, log },
      listeners: config.server.listeners,
      server: server.server,
      handshakeLimitMs: config.server.read_timeout || TLS_HANDSHAKE_LIMIT_MS,
    });
    disposer.add('server', () => closeServer(server, listeners));
    let further: FurtherAddress[] = [];
    return {
      services,
      server,
      media,
      database: database.description,
      adoption,
      async listen() {
        const { host, port } = config.server;
        const isLocalhost = host === 'localhost';
        const address = await server.listen({ host: isLocalhost ? '127.0.0.1' : host, port });
        // Left to itself the framework makes a second server for it, which has nothing of what is in front of this one.
        if (isLocalhost) await listeners.openIfThere('::1', Number(new URL(address).port));
        further = await listeners.open();
        return address;
      },
      furtherAddresses: () => further,
      close: disposer.close,
    };
  }
}

/** Lets requests in flight finish, but not for ever. */
async function closeServer(server: FastifyInstance, listeners: Listeners): Promise<void> {
  const impatience = setTimeout(() => {
    server.server.closeAllConnections();
    listeners.cutOff();
  }, CLOSE_PATIENCE_MS);
  const closed = listeners.close();
  await server.close();
  await closed;
  clearTimeout(impatience);
}
