import { type Expression, type Insertable, type Selectable, sql } from 'kysely';
import { SEVERITIES } from '../../contract/alerts.js';
import type { Handle } from '../dialect.js';
import type { AlertsTable } from '../schema.js';

export type AlertRow = Selectable<AlertsTable>;
export type NewAlert = Insertable<AlertsTable> & { id: string };

/** Where a page ended; the next one begins behind it. */
export interface AlertCursor {
  created_at: number;
  id: string;
}

export interface AlertQuery {
  account_id: string;
  robot_id?: string | undefined;
  status?: string | undefined;
  severity?: string | undefined;
  alert_type?: string | undefined;
  limit: number;
  cursor?: AlertCursor | undefined;
}

/**
 * Adds the alert, or counts it as a repeat of the one that is open under its dedup key: that one takes its message and,
 * if they say more, its metadata, severity and time. Returns whichever it is now, and what has happened to it; of two
 * servers that escalate it in the same moment, both say so.
 */
export async function raiseAlert(
  tx: Handle,
  alert: NewAlert,
): Promise<{ alert: AlertRow; change: 'opened' | 'repeated' | 'escalated' }> {
  const before = await openSeverity(tx, alert);
  const raised = await upsert(tx, alert);
  if (raised.id === alert.id) return { alert: raised, change: 'opened' };
  const isEscalated = before !== undefined && before !== raised.severity;
  return { alert: raised, change: isEscalated ? 'escalated' : 'repeated' };
}

/** Of the alert that is open under the same dedup key. */
async function openSeverity(
  tx: Handle,
  { robot_id, dedup_key }: NewAlert,
): Promise<string | undefined> {
  if (dedup_key === null || dedup_key === undefined) return undefined;
  const open = await tx
    .selectFrom('alerts')
    .select('severity')
    .where('robot_id', '=', robot_id)
    .where('dedup_key', '=', dedup_key)
    .where('status', '<>', sql.lit('resolved'))
    .executeTakeFirst();
  return open?.severity;
}

function upsert(tx: Handle, alert: NewAlert): Promise<AlertRow> {
  return tx
    .insertInto('alerts')
    .values(alert)
    .onConflict((conflict) =>
      conflict
        .columns(['robot_id', 'dedup_key'])
        // Both databases find the partial index only by its own words, without a parameter.
        .where(sql.ref('status'), '<>', sql.lit('resolved'))
        .doUpdateSet((eb) => ({
          count: eb('alerts.count', '+', eb.lit(1)),
          message: eb.ref('excluded.message'),
          metadata: eb.fn.coalesce('excluded.metadata', 'alerts.metadata'),
          severity: eb
            .case()
            .when(rank(eb.ref('excluded.severity')), '>', rank(eb.ref('alerts.severity')))
            .then(eb.ref('excluded.severity'))
            .else(eb.ref('alerts.severity'))
            .end(),
          last_seen_at: eb
            .case()
            .when('excluded.last_seen_at', '>', eb.ref('alerts.last_seen_at'))
            .then(eb.ref('excluded.last_seen_at'))
            .else(eb.ref('alerts.last_seen_at'))
            .end(),
        })),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
}

function rank(severity: Expression<string>): Expression<number> {
  const cases = SEVERITIES.map((name, at) => sql`when ${sql.lit(name)} then ${sql.lit(at)}`);
  return sql<number>`case ${severity} ${sql.join(cases, sql` `)} else -1 end`;
}

export async function findAlert(
  db: Handle,
  accountId: string,
  alertId: string,
): Promise<AlertRow | undefined> {
  return db
    .selectFrom('alerts')
    .selectAll()
    .where('account_id', '=', accountId)
    .where('id', '=', alertId)
    .executeTakeFirst();
}

/** The account's alerts that fit, newest first. */
export async function listAlerts(db: Handle, query: AlertQuery): Promise<AlertRow[]> {
  const { robot_id, status, severity, alert_type, cursor } = query;
  let select = db
    .selectFrom('alerts')
    .selectAll()
    .where('account_id', '=', query.account_id)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(query.limit);
  if (robot_id !== undefined) select = select.where('robot_id', '=', robot_id);
  if (status !== undefined) select = select.where('status', '=', status);
  if (severity !== undefined) select = select.where('severity', '=', severity);
  if (alert_type !== undefined) select = select.where('alert_type', '=', alert_type);
  if (cursor) {
    const { created_at, id } = cursor;
    // The first condition alone is one that an index is entered by.
    select = select
      .where('created_at', '<=', created_at)
      .where((eb) => eb.or([eb('created_at', '<', created_at), eb('id', '<', id)]));
  }
  return select.execute();
}

/** Acknowledges the alert if it is active. Returns it, or undefined if it was not. */
export async function acknowledgeAlert(
  db: Handle,
  accountId: string,
  alertId: string,
  by: { acknowledged_at: number; acknowledged_by: string },
): Promise<AlertRow | undefined> {
  return db
    .updateTable('alerts')
    .set({ status: 'acknowledged', ...by })
    .where('account_id', '=', accountId)
    .where('id', '=', alertId)
    .where('status', '=', 'active')
    .returningAll()
    .executeTakeFirst();
}

/** What to resolve: one alert, or those of a rule. */
export type OpenAlerts =
  | { id: string }
  | { rule_id: string; robot_id?: string | undefined; except_robot_id?: string | undefined };

/** Resolves up to `limit` of those of the account's alerts that are open. Returns them. */
export async function resolveAlerts(
  db: Handle,
  accountId: string,
  which: OpenAlerts,
  by: { resolved_at: number; resolved_by: string },
  limit: number,
): Promise<AlertRow[]> {
  let open = db
    .selectFrom('alerts')
    .select('id')
    .where('account_id', '=', accountId)
    .where('status', '<>', sql.lit('resolved'))
    .limit(limit);
  if ('id' in which) {
    open = open.where('id', '=', which.id);
  } else {
    const { rule_id, robot_id, except_robot_id } = which;
    open = open.where('rule_id', '=', rule_id);
    if (robot_id !== undefined) open = open.where('robot_id', '=', robot_id);
    if (except_robot_id !== undefined) open = open.where('robot_id', '<>', except_robot_id);
  }
  return (
    db
      .updateTable('alerts')
      .set({ status: 'resolved', ...by })
      .where('id', 'in', open)
      // PostgreSQL asks this again of a row that another transaction has changed meanwhile.
      .where('status', '<>', sql.lit('resolved'))
      .returningAll()
      .execute()
  );
}

/** Every alert that a rule raised and that is still open, of all accounts. */
export async function openRuleAlerts(
  db: Handle,
): Promise<{ account_id: string; robot_id: string; rule_id: string }[]> {
  return db
    .selectFrom('alerts')
    .select(['account_id', 'robot_id', 'rule_id'])
    .where('status', '<>', sql.lit('resolved'))
    .where('rule_id', 'is not', null)
    .$narrowType<{ rule_id: string }>()
    .execute();
}

/** When the rule raised its newest alert for the robot; undefined if that was not after `since`. */
export async function lastRaisedByRule(
  db: Handle,
  query: { account_id: string; robot_id: string; rule_id: string; since: number },
): Promise<number | undefined> {
  const row = await db
    .selectFrom('alerts')
    .select('created_at')
    .where('account_id', '=', query.account_id)
    .where('robot_id', '=', query.robot_id)
    .where('rule_id', '=', query.rule_id)
    .where('created_at', '>', query.since)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.created_at;
}
