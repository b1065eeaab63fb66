import { randomUUID } from 'node:crypto';
import { beforeEach, onTestFinished } from 'vitest';
import type { Principal } from '../../src/contract/access.js';
import { SCOPES } from '../../src/contract/access.js';
import type { CreateChannelInput } from '../../src/contract/notifications.js';
import { type DatabaseHandle, openDatabase } from '../../src/db/client.js';
import { acknowledgeAlert, raiseAlert, resolveAlerts } from '../../src/db/repositories/alerts.js';
import { createMemoryHub } from '../../src/realtime/hub.js';
import { createAlertLedger } from '../../src/services/alert-ledger.js';
import { createJournal } from '../../src/services/journal.js';
import { createNotifications } from '../../src/services/notifications.js';
import { createOutbox } from '../../src/services/notifications-outbox.js';
import {
  createWebhookSender,
  type WebhookSenderOptions,
} from '../../src/services/notifications-webhook.js';
import {
  createDeliveryWorker,
  type DeliveryWorkerDeps,
} from '../../src/services/notifications-worker.js';
import type { TestDatabaseKind } from './databases.js';
import { useFleetDatabase } from './fleet-database.js';
import { createLogBook, createStoppedClock } from './identity.js';
import { until } from './until.js';

interface Options extends Partial<Pick<DeliveryWorkerDeps, 'mailer' | 'random'>> {
  webhooks?: Partial<WebhookSenderOptions>;
}

/** Alerts and the notifications of them, over one database for a `describe`, whose channels go before each test. */
export function useNotifications(kind: TestDatabaseKind) {
  const fleet = useFleetDatabase(kind);
  let accounts = 0;
  beforeEach(async () => {
    await fleet().handle.db.deleteFrom('notification_channels').execute();
  });

  /** One running instance on the database; a `peer` shares the account and the clock of another. */
  async function start(options: Options = {}, peer?: { account: string; robot: string }) {
    const { mailer = null, random = () => 0.5, webhooks = {} } = options;
    const handle = peer ? await reopen() : fleet().handle;
    const account = peer?.account ?? (await fleet().addAccount(`account-${++accounts}`));
    const robot = peer?.robot ?? (await fleet().addRobot(account, `robot-${accounts}`));
    const clock = createStoppedClock();
    const { lines, log } = createLogBook();
    const { db } = handle;
    const rules = { allowPrivate: true, requireHttps: false, ...webhooks.rules };
    const worker = createDeliveryWorker({
      ...{ db, clock, log, mailer, random },
      sendWebhook: createWebhookSender({ userAgent: 'Fleetwire/test', ...webhooks, rules }),
    });
    const stop = worker.start();
    onTestFinished(stop);
    const outbox = createOutbox({ clock, onAdded: worker.wake });
    const journal = createJournal({ db, batch: handle.batch, hub: createMemoryHub(), clock });
    const ledger = createAlertLedger({ journal, observers: [outbox] });
    const canMail = mailer !== null;
    const service = createNotifications({ db, clock, outbox, worker, rules, canMail });
    const principal: Principal = {
      kind: 'account',
      account_id: account,
      key_id: null,
      robot_id: null,
      scopes: new Set(SCOPES),
      expires_at: null,
    };

    /** Raises an alert as a robot would. `fail` undoes it at the end of its transaction. */
    function raise(
      said: { severity?: string; message?: string; dedup_key?: string; fail?: boolean } = {},
    ) {
      const { severity = 'error', message = 'the battery is low', fail = false } = said;
      return ledger.write(async (tx, changed) => {
        const { alert, change } = await raiseAlert(tx, {
          ...{ id: randomUUID(), robot_id: robot, account_id: account, severity, message },
          ...{ alert_type: 'low_battery', metadata: '{"cell":3}', status: 'active' },
          ...{
            created_at: clock.now(),
            last_seen_at: clock.now(),
            dedup_key: said.dedup_key ?? null,
          },
        });
        await changed(alert, change);
        if (fail) throw new Error('undone');
        return alert;
      });
    }
    const acknowledge = (id: string) =>
      ledger.write(async (tx, changed) => {
        const by = { acknowledged_at: clock.now(), acknowledged_by: account };
        const alert = await acknowledgeAlert(tx, account, id, by);
        if (alert) await changed(alert, 'acknowledged');
      });
    const resolve = (id: string) =>
      ledger.write(async (tx, changed) => {
        const by = { resolved_at: clock.now(), resolved_by: account };
        for (const alert of await resolveAlerts(tx, account, { id }, by, 1)) {
          await changed(alert, 'resolved');
        }
      });

    /** Oldest first. */
    const deliveries = async () =>
      (await service.deliveries(principal, { limit: 1_000 })).deliveries.reverse();
    /** Waits until there are this many and none of them is being made or due, and returns them. */
    const settled = (count: number) =>
      until(`${count} settled deliveries`, async () => {
        const all = await deliveries();
        const isBusy = all.some(
          ({ state, next_attempt_at }) =>
            state === 'sending' ||
            (next_attempt_at !== null && Date.parse(next_attempt_at) <= clock.now()),
        );
        return all.length === count && !isBusy && all;
      });
    const addWebhook = (target: string, more: Partial<CreateChannelInput> = {}) =>
      service.create(principal, {
        ...{ name: 'a hook', kind: 'webhook', target, min_severity: 'info', enabled: true },
        ...more,
      });

    return {
      ...{ db, clock, lines, worker, stop, service, principal, account, robot, ledger },
      ...{ raise, acknowledge, resolve, deliveries, settled, addWebhook },
    };
  }

  /** Another connection to the same database; SQLite has one writer, so there it is the same one. */
  async function reopen(): Promise<DatabaseHandle> {
    if (kind.dialect === 'sqlite') return fleet().handle;
    const handle = await openDatabase(fleet().database.config);
    onTestFinished(handle.close);
    return handle;
  }

  return start;
}
