import { randomUUID } from 'node:crypto';
import type { Principal } from '../contract/access.js';
import type { AlertEvent, ListAlertsInput, SubmitAlertInput } from '../contract/alerts.js';
import type { Db } from '../db/client.js';
import {
  type AlertRow,
  acknowledgeAlert,
  findAlert,
  listAlerts,
  raiseAlert,
  resolveAlerts,
} from '../db/repositories/alerts.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Durable } from '../realtime/durable.js';
import type { AlertLedger } from './alert-ledger.js';
import { type DurableDeps, type DurableReader, journalOf } from './durable.js';
import type { Fleet } from './fleet.js';
import type { Presences } from './presence.js';
import { formatCursor, parseCreatedCursor } from './time-cursor.js';

/** What robots and rules raise, and what becomes of it. Another account's alerts are `not_found`. */
export interface Alerts {
  /**
   * Stores an alert as active, or counts it as a repeat of the one that is open under its dedup key. Returns the id of
   * whichever it is.
   * @throws DomainError as `fleet.owned`.
   */
  submit(principal: Principal, input: SubmitAlertInput): Promise<string>;
  /**
   * Newest first.
   * @throws DomainError as `fleet.owned` for the robot asked for; `invalid_input` for a cursor that is none.
   */
  list(principal: Principal, query: ListAlertsInput): Promise<AlertPage>;
  get(principal: Principal, alertId: string): Promise<AlertRow>;
  /**
   * Repeating it changes nothing.
   * @throws DomainError `not_found`; `conflict` when the alert is resolved.
   */
  acknowledge(principal: Principal, alertId: string): Promise<AlertRow>;
  /** Repeating it changes nothing. @throws DomainError `not_found`. */
  resolve(principal: Principal, alertId: string): Promise<AlertRow>;
  /** What happens to alerts, replayed from a cursor. */
  live(
    principal: Principal,
    reader: DurableReader,
  ): AsyncGenerator<Durable<AlertEvent>, void, undefined>;
}

export interface AlertPage {
  alerts: AlertRow[];
  next_cursor: string | null;
}

export interface AlertsDeps {
  db: Db;
  ledger: AlertLedger;
  fleet: Fleet;
  presences: Presences;
  streams: DurableDeps;
  clock: Clock;
  /** Told of an alert that somebody resolved by hand, after the commit. */
  onResolved: (alert: AlertRow) => void;
}

export function createAlerts(deps: AlertsDeps): Alerts {
  const { db, ledger, fleet, presences, streams, clock, onResolved } = deps;

  async function owned(principal: Principal, alertId: string): Promise<AlertRow> {
    const alert = await findAlert(db, principal.account_id, alertId);
    const isForeign = principal.robot_id !== null && principal.robot_id !== alert?.robot_id;
    if (!alert || isForeign) throw new DomainError('not_found', 'Alert not found');
    return alert;
  }

  return {
    async submit(principal, { robot_id, metadata, timestamp, dedup_key, ...said }) {
      const robot = await fleet.owned(principal, robot_id);
      const now = clock.now();
      const stored = await ledger.write(async (tx, changed) => {
        const { alert, change } = await raiseAlert(tx, {
          ...said,
          id: randomUUID(),
          robot_id,
          account_id: principal.account_id,
          metadata: metadata ? JSON.stringify(metadata) : null,
          status: 'active',
          created_at: timestamp ?? now,
          last_seen_at: timestamp ?? now,
          dedup_key: dedup_key ?? null,
        });
        await changed(alert, change);
        return alert.id;
      });
      presences.seen(robot, now);
      return stored;
    },

    async list(principal, { robot_id, cursor, ...query }) {
      const { account_id } = principal;
      const robotId = robot_id ?? principal.robot_id ?? undefined;
      if (robotId !== undefined) await fleet.owned(principal, robotId);
      const alerts = await listAlerts(db, {
        ...query,
        account_id,
        robot_id: robotId,
        cursor: cursor ? parseCreatedCursor(cursor) : undefined,
      });
      const last = alerts.at(-1);
      const isFull = alerts.length === query.limit;
      return {
        alerts,
        next_cursor: isFull && last ? formatCursor(last.created_at, last.id) : null,
      };
    },

    get: owned,

    async acknowledge(principal, alertId) {
      await owned(principal, alertId);
      const { account_id } = principal;
      return ledger.write(async (tx, changed) => {
        const by = { acknowledged_at: clock.now(), acknowledged_by: account_id };
        const acknowledged = await acknowledgeAlert(tx, account_id, alertId, by);
        if (acknowledged) {
          await changed(acknowledged, 'acknowledged');
          return acknowledged;
        }
        const alert = await findAlert(tx, account_id, alertId);
        if (!alert) throw new DomainError('not_found', 'Alert not found');
        if (alert.status === 'acknowledged') return alert;
        throw new DomainError('conflict', 'This alert is resolved');
      });
    },

    async resolve(principal, alertId) {
      await owned(principal, alertId);
      const { account_id } = principal;
      const { alert, isNew } = await ledger.write(async (tx, changed) => {
        const by = { resolved_at: clock.now(), resolved_by: account_id };
        const [resolved] = await resolveAlerts(tx, account_id, { id: alertId }, by, 1);
        if (resolved) {
          await changed(resolved, 'resolved');
          return { alert: resolved, isNew: true };
        }
        const alert = await findAlert(tx, account_id, alertId);
        if (!alert) throw new DomainError('not_found', 'Alert not found');
        return { alert, isNew: false };
      });
      if (isNew) onResolved(alert);
      return alert;
    },

    live: (principal, reader) => journalOf<AlertEvent>(streams, 'alerts', principal, reader),
  };
}
