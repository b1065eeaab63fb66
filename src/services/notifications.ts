import { randomBytes, randomUUID } from 'node:crypto';
import type { Principal } from '../contract/access.js';
import type {
  ChannelWithSecret,
  CreateChannelInput,
  DeliveriesInput,
  DeliveryList,
  NotificationChannel,
  NotificationDelivery,
  UpdateChannelInput,
} from '../contract/notifications.js';
import type { Db } from '../db/client.js';
import { lockAccount } from '../db/repositories/accounts.js';
import {
  type ChannelRow,
  countChannels,
  deleteChannel,
  findChannel,
  insertChannel,
  listChannels,
  updateChannel,
} from '../db/repositories/notification-channels.js';
import {
  buryPending,
  countOpenDeliveries,
  findDelivery,
  hasTestSince,
  listDeliveries,
  reviveDelivery,
} from '../db/repositories/notification-deliveries.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { OPEN_PER_CHANNEL, type Outbox } from './notifications-outbox.js';
import { assertTarget, type TargetRules } from './notifications-target.js';
import { secretOf } from './notifications-webhook.js';
import { channelOnWire, channelWithSecret, deliveryOnWire } from './notifications-wire.js';
import { type DeliveryWorker, SWITCHED_OFF } from './notifications-worker.js';
import { formatCursor, parseCreatedCursor } from './time-cursor.js';

const CHANNELS_PER_ACCOUNT = 20;
const SECRET_BYTES = 32;
const TEST_EVERY_MS = 10_000;
/** Longer than a webhook may take, shorter than the server lets an answer take. */
const TEST_WAIT_MS = 12_000;

/** Where an account is told of its alerts, and how that went. Another account's are `not_found`. */
export interface Notifications {
  /**
   * A webhook's `secret` is new and can be read here alone.
   * @throws DomainError `invalid_input` for a target that cannot be, and for e-mail while no mail server is configured;
   * `forbidden` for one channel too many.
   */
  create(principal: Principal, input: CreateChannelInput): Promise<ChannelWithSecret>;
  /** Oldest first, without secrets. */
  list(principal: Principal): Promise<NotificationChannel[]>;
  get(principal: Principal, channelId: string): Promise<NotificationChannel>;
  /** What is left out stays. Switching it off gives up what waits. @throws DomainError as for create. */
  update(principal: Principal, input: UpdateChannelInput): Promise<NotificationChannel>;
  /** Its deliveries go with it. */
  delete(principal: Principal, channelId: string): Promise<void>;
  /**
   * Replaces the secret of a webhook; from here on everything is signed with the new one.
   * @throws DomainError `conflict` for a channel that has none.
   */
  rotateSecret(principal: Principal, channelId: string): Promise<ChannelWithSecret>;
  /**
   * Sends a test the way alerts go, in one attempt, and returns how that went after at most 12 s: `delivered`, `dead`, or
   * still on its way behind others.
   * @throws DomainError `conflict` for a channel that is switched off; `rate_limited` for a second one within 10 s.
   */
  test(principal: Principal, channelId: string): Promise<NotificationDelivery>;
  /** Newest first. @throws DomainError `invalid_input` for a cursor that is none. */
  deliveries(principal: Principal, query: DeliveriesInput): Promise<DeliveryList>;
  /**
   * Makes a dead or waiting delivery due at once; a dead one gets all its attempts again.
   * @throws DomainError `conflict` for one that is being sent or delivered, and while its channel is switched off or
   * full.
   */
  retry(principal: Principal, deliveryId: string): Promise<NotificationDelivery>;
}

export interface NotificationsDeps {
  db: Db;
  clock: Clock;
  outbox: Outbox;
  worker: Pick<DeliveryWorker, 'wake' | 'attempted'>;
  rules: TargetRules;
  /** Whether a mail server is configured. */
  canMail: boolean;
}

export function createNotifications(deps: NotificationsDeps): Notifications {
  const { db, clock, outbox, worker, rules, canMail } = deps;

  function assertReachable(kind: string, target: string): void {
    assertTarget(kind, target, rules);
    if (kind === 'email' && !canMail) {
      throw new DomainError(
        'invalid_input',
        'kind: this server cannot send mail; its operator must set email.smtp_host',
      );
    }
  }

  async function owned(principal: Principal, channelId: string): Promise<ChannelRow> {
    return (await findChannel(db, principal.account_id, channelId)) ?? throwNotFound('channel');
  }

  return {
    async create({ account_id }, { name, kind, target, min_severity, enabled }) {
      assertReachable(kind, target);
      const now = clock.now();
      const channel: ChannelRow = {
        ...{ id: randomUUID(), account_id, name, kind, target, min_severity },
        secret: kind === 'webhook' ? newSecret() : null,
        enabled: enabled ? 1 : 0,
        ...{ created_at: now, updated_at: now },
      };
      await db.transaction().execute(async (tx) => {
        await lockAccount(tx, account_id);
        if ((await countChannels(tx, account_id)) >= CHANNELS_PER_ACCOUNT) {
          throw new DomainError(
            'forbidden',
            `An account has at most ${CHANNELS_PER_ACCOUNT} notification channels; delete one first`,
            { limit: 'notification_channels_per_account' },
          );
        }
        await insertChannel(tx, channel);
      });
      return channelWithSecret(channel);
    },

    async list({ account_id }) {
      return (await listChannels(db, account_id, CHANNELS_PER_ACCOUNT)).map(channelOnWire);
    },

    get: async (principal, channelId) => channelOnWire(await owned(principal, channelId)),

    async update(principal, { channel_id, enabled, name, target, min_severity }) {
      const { kind } = await owned(principal, channel_id);
      if (target !== undefined) assertReachable(kind, target);
      const now = clock.now();
      return db.transaction().execute(async (tx) => {
        const channel = await updateChannel(tx, principal.account_id, channel_id, {
          ...(name !== undefined && { name }),
          ...(target !== undefined && { target }),
          ...(min_severity !== undefined && { min_severity }),
          ...(enabled !== undefined && { enabled: enabled ? 1 : 0 }),
          updated_at: now,
        });
        if (!channel) return throwNotFound('channel');
        if (!channel.enabled) await buryPending(tx, channel, now, SWITCHED_OFF);
        return channelOnWire(channel);
      });
    },

    async delete({ account_id }, channelId) {
      if (!(await deleteChannel(db, account_id, channelId))) throwNotFound('channel');
    },

    async rotateSecret(principal, channelId) {
      const { kind } = await owned(principal, channelId);
      if (kind !== 'webhook') {
        throw new DomainError('conflict', 'Only webhooks are signed; this channel has no secret');
      }
      const changes = { secret: newSecret(), updated_at: clock.now() };
      const channel = await updateChannel(db, principal.account_id, channelId, changes);
      return channelWithSecret(channel ?? throwNotFound('channel'));
    },

    async test(principal, channelId) {
      const { account_id } = principal;
      const id = await db.transaction().execute(async (tx) => {
        await lockAccount(tx, account_id);
        const channel = await findChannel(tx, account_id, channelId);
        if (!channel) return throwNotFound('channel');
        assertSwitchedOn(channel);
        if (await hasTestSince(tx, channel, clock.now() - TEST_EVERY_MS)) {
          throw new DomainError(
            'rate_limited',
            'A test was sent a moment ago; look at how it went',
            {
              limit: 'notification_tests_per_channel',
              retryAfterMs: TEST_EVERY_MS,
            },
          );
        }
        return outbox.addTest(tx, channel);
      });
      const attempted = worker.attempted(id, TEST_WAIT_MS);
      worker.wake();
      await attempted;
      return deliveryOnWire((await findDelivery(db, account_id, id)) ?? throwNotFound('delivery'));
    },

    async deliveries({ account_id }, { state, channel_id, limit, cursor }) {
      const from = cursor ? parseCreatedCursor(cursor) : undefined;
      const query = { account_id, state, channel_id, limit, cursor: from };
      const rows = await listDeliveries(db, query);
      const last = rows.at(-1);
      const isFull = rows.length === limit;
      const next_cursor = isFull && last ? formatCursor(last.created_at, last.id) : null;
      return { deliveries: rows.map(deliveryOnWire), count: rows.length, next_cursor };
    },

    async retry({ account_id }, deliveryId) {
      const delivery = await db.transaction().execute(async (tx) => {
        const known = await findDelivery(tx, account_id, deliveryId);
        const channel = known && (await findChannel(tx, account_id, known.channel_id));
        if (!known || !channel) return throwNotFound('delivery');
        assertSwitchedOn(channel);
        const open = await countOpenDeliveries(tx, channel.id, OPEN_PER_CHANNEL);
        if (known.state === 'dead' && open >= OPEN_PER_CHANNEL) {
          throw new DomainError(
            'conflict',
            `${OPEN_PER_CHANNEL} deliveries of this channel wait already; try again later`,
            { limit: 'notification_deliveries_per_channel' },
          );
        }
        const revived = await reviveDelivery(tx, account_id, deliveryId, clock.now());
        if (revived) return revived;
        const how = known.state === 'sending' ? 'is being sent' : 'was delivered';
        throw new DomainError('conflict', `This delivery ${how}`);
      });
      worker.wake();
      return deliveryOnWire(delivery);
    },
  };
}

function newSecret(): string {
  return secretOf(randomBytes(SECRET_BYTES));
}

function assertSwitchedOn(channel: ChannelRow): void {
  if (!channel.enabled) {
    throw new DomainError('conflict', 'This channel is switched off; enable it first');
  }
}

function throwNotFound(what: 'channel' | 'delivery'): never {
  throw new DomainError('not_found', `Notification ${what} not found`);
}
