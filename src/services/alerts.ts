import { randomUUID } from 'node:crypto';
import type { Principal } from '../contract/access.js';
import type { SubmitAlertInput } from '../contract/alerts.js';
import type { Db } from '../db/client.js';
import { insertAlert } from '../db/repositories/alerts.js';
import type { Clock } from '../lib/clock.js';
import type { DurableDeps } from './durable.js';
import type { Fleet } from './fleet.js';
import type { Journal } from './journal.js';
import type { Presences } from './presence.js';

/** What robots raise. */
export interface Alerts {
  /** Stores an alert as active and returns its id. */
  submit(principal: Principal, input: SubmitAlertInput): Promise<string>;
}

export interface AlertsDeps {
  db: Db;
  fleet: Fleet;
  presences: Presences;
  journal: Journal;
  streams: DurableDeps;
  clock: Clock;
}

export function createAlerts({ db, fleet, presences, clock }: AlertsDeps): Alerts {
  return {
    async submit(principal, { robot_id, alert_type, severity, message, metadata, timestamp }) {
      const robot = await fleet.owned(principal, robot_id);
      const now = clock.now();
      const id = randomUUID();
      await insertAlert(db, {
        id,
        robot_id,
        account_id: principal.account_id,
        alert_type,
        severity,
        message,
        metadata: metadata ? JSON.stringify(metadata) : null,
        status: 'active',
        created_at: timestamp ?? now,
        last_seen_at: timestamp ?? now,
      });
      presences.seen(robot, now);
      return id;
    },
  };
}
