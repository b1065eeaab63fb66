import type { AlertNotification } from '../contract/notifications.js';
import type { Db } from '../db/client.js';
import {
  type ChannelRow,
  findChannel,
  updateChannel,
} from '../db/repositories/notification-channels.js';
import {
  buryPending,
  claimDelivery,
  type DeliveryRow,
  deleteFinishedDeliveries,
  dueChannels,
  finishAttempt,
} from '../db/repositories/notification-deliveries.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/logger.js';
import type { Mailer } from './mailer.js';
import { sendMail } from './notifications-mail.js';
import type { Attempt, WebhookSender } from './notifications-webhook.js';

const POLL_EVERY_MS = 2_000;
const CLEAN_EVERY_MS = 3_600_000;
const KEPT_MS = 30 * 86_400_000;
const CLEAN_SLICE_ROWS = 200;
/** Channels that are sent to at once. */
const CONCURRENCY = 8;
/** Deliveries in a row that one channel may have before the others get their turn. */
const TURN = 20;
/** Longer than any attempt takes. */
const LEASE_MS = 60_000;
const STOP_PATIENCE_MS = 1_000;

const MAX_ATTEMPTS = 8;
const FIRST_DELAY_MS = 30_000;
const LONGEST_DELAY_MS = 12 * 3_600_000;
const RETRY_AFTER_LIMIT_MS = 6 * 3_600_000;

export const SWITCHED_OFF = 'The channel was switched off';

/**
 * Makes the deliveries that the database holds: each channel's one at a time, oldest first among those that are due, at
 * least once. A claim in the database keeps several instances from making the same one, or one channel's, at once.
 */
export interface DeliveryWorker {
  /** Looks for what is due, now. */
  wake(): void;
  /** Resolves after this process's next attempt at the delivery, or after `limitMs`. */
  attempted(deliveryId: string, limitMs: number): Promise<void>;
  /**
   * Begins. The function it returns stops: attempts under way have a second to end, then they are broken off and left to
   * be made again.
   */
  start(): () => Promise<void>;
}

export interface DeliveryWorkerDeps {
  db: Db;
  clock: Clock;
  log: Logger;
  sendWebhook: WebhookSender;
  /** Null when no SMTP host is configured. */
  mailer: Mailer | null;
  /** From 0 up to 1. */
  random: () => number;
}

export function createDeliveryWorker(deps: DeliveryWorkerDeps): DeliveryWorker {
  const { db, clock, log, sendWebhook, mailer, random } = deps;
  const stopping = new AbortController();
  const busy = new Map<string, Promise<void>>();
  const waiters = new Map<string, () => void>();
  let scanning: Promise<void> | undefined;
  let again = false;
  let running = false;

  function wake(): void {
    if (!running) return;
    if (scanning) {
      again = true;
      return;
    }
    scanning = scan()
      .catch((error: unknown) => log.error({ err: error }, 'notifications could not be read'))
      .finally(() => {
        scanning = undefined;
        if (again) wake();
      });
  }

  async function scan(): Promise<void> {
    again = false;
    const free = CONCURRENCY - busy.size;
    if (free <= 0) return;
    for (const channelId of await dueChannels(db, clock.now(), [...busy.keys()], free)) {
      if (!running) return;
      busy.set(channelId, serve(channelId));
    }
  }

  async function serve(channelId: string): Promise<void> {
    try {
      for (let made = 0; made < TURN && running; made += 1) {
        const now = clock.now();
        const delivery = await claimDelivery(db, channelId, now, now + LEASE_MS);
        if (!delivery) break;
        await attempt(delivery);
      }
      busy.delete(channelId);
      wake();
    } catch (error) {
      // Not woken: what is wrong with the database may still be so.
      busy.delete(channelId);
      log.error({ err: error, channel_id: channelId }, 'notifications could not be made');
    }
  }

  async function attempt(delivery: DeliveryRow): Promise<void> {
    const channel = await findChannel(db, delivery.account_id, delivery.channel_id);
    // Deleted since, and its deliveries with it.
    if (!channel) return;
    try {
      const result: Attempt = channel.enabled
        ? await send(channel, delivery)
        : { ok: false, error: SWITCHED_OFF };
      await settle(channel, delivery, result);
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
      // It does not count, and whoever starts next makes it at once.
      const next_attempt_at = clock.now();
      const attempts = delivery.attempts - 1;
      await finishAttempt(db, delivery, { state: 'pending', attempts, next_attempt_at });
    } finally {
      waiters.get(delivery.id)?.();
    }
  }

  function send(channel: ChannelRow, { id, payload }: DeliveryRow): Promise<Attempt> {
    const { target } = channel;
    const { signal } = stopping;
    if (channel.kind === 'email') {
      return sendMail(mailer, target, id, JSON.parse(payload) as AlertNotification, signal);
    }
    const secret = channel.secret ?? '';
    return sendWebhook({ url: target, secret, id, body: payload, sent_at: clock.now() }, signal);
  }

  async function settle(
    channel: ChannelRow,
    delivery: DeliveryRow,
    result: Attempt,
  ): Promise<void> {
    const now = clock.now();
    if (result.ok) {
      const delivered = { state: 'delivered', last_error: null };
      await finishAttempt(db, delivery, { ...delivered, next_attempt_at: now, finished_at: now });
      return;
    }
    const { error: last_error, retryAfterMs = 0, isGone = false } = result;
    const isLast = delivery.attempts >= MAX_ATTEMPTS || delivery.change === 'test';
    if (!isGone && !isLast && channel.enabled) {
      const asked = Math.min(retryAfterMs, RETRY_AFTER_LIMIT_MS);
      const next_attempt_at = now + Math.max(asked, delayMs(delivery.attempts, random()));
      await finishAttempt(db, delivery, { state: 'pending', last_error, next_attempt_at });
      return;
    }
    await db.transaction().execute(async (tx) => {
      if (isGone) {
        await updateChannel(tx, channel.account_id, channel.id, { enabled: 0, updated_at: now });
        await buryPending(tx, channel, now, SWITCHED_OFF);
      }
      const dead = { state: 'dead', last_error, next_attempt_at: now, finished_at: now };
      await finishAttempt(tx, delivery, dead);
    });
    const ids = { channel_id: channel.id, delivery_id: delivery.id };
    log.warn({ ...ids, reason: last_error }, 'a notification was given up');
  }

  async function clean(): Promise<void> {
    const before = clock.now() - KEPT_MS;
    while (running && (await deleteFinishedDeliveries(db, before, CLEAN_SLICE_ROWS)) > 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  return {
    wake,
    attempted(deliveryId, limitMs) {
      return new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          waiters.delete(deliveryId);
          resolve();
        };
        const timer = setTimeout(done, limitMs);
        waiters.set(deliveryId, done);
      });
    },
    start() {
      running = true;
      let cleaning = Promise.resolve();
      const stopPolling = clock.every(POLL_EVERY_MS, wake);
      const stopCleaning = clock.every(CLEAN_EVERY_MS, () => {
        cleaning = cleaning.then(clean).catch((error: unknown) => {
          log.error({ err: error }, 'old notifications could not be deleted');
        });
      });
      wake();
      return async () => {
        running = false;
        stopPolling();
        stopCleaning();
        await Promise.all([scanning, cleaning]);
        const impatience = setTimeout(() => stopping.abort(), STOP_PATIENCE_MS);
        await Promise.all(busy.values());
        clearTimeout(impatience);
        // What is left of answers that were not read to their end.
        stopping.abort();
        for (const done of [...waiters.values()]) done();
      };
    },
  };
}

/** 30 s, then four times as long each time, up to 12 h, a quarter more or less: eight attempts in about a day. */
export function delayMs(attempts: number, random: number): number {
  const delay = Math.min(FIRST_DELAY_MS * 4 ** (attempts - 1), LONGEST_DELAY_MS);
  return Math.round(delay * (0.75 + random / 2));
}
