import type { Insertable, Selectable, Updateable } from 'kysely';
import type { Handle } from '../dialect.js';
import type { AlertRulesTable } from '../schema.js';

export type AlertRuleRow = Selectable<AlertRulesTable>;

export async function insertAlertRule(
  db: Handle,
  rule: Insertable<AlertRulesTable>,
): Promise<void> {
  await db.insertInto('alert_rules').values(rule).execute();
}

export async function findAlertRule(
  db: Handle,
  accountId: string,
  ruleId: string,
): Promise<AlertRuleRow | undefined> {
  return db
    .selectFrom('alert_rules')
    .selectAll()
    .where('account_id', '=', accountId)
    .where('id', '=', ruleId)
    .executeTakeFirst();
}

/** The account's rules by name, at most `limit`. */
export async function listAlertRules(
  db: Handle,
  accountId: string,
  limit: number,
): Promise<AlertRuleRow[]> {
  return db
    .selectFrom('alert_rules')
    .selectAll()
    .where('account_id', '=', accountId)
    .orderBy('name')
    .orderBy('id')
    .limit(limit)
    .execute();
}

export async function countAlertRules(db: Handle, accountId: string): Promise<number> {
  const { count } = await db
    .selectFrom('alert_rules')
    .select((eb) => eb.fn.countAll<number | string>().as('count'))
    .where('account_id', '=', accountId)
    .executeTakeFirstOrThrow();
  return Number(count);
}

export async function updateAlertRule(
  db: Handle,
  accountId: string,
  ruleId: string,
  changes: Updateable<AlertRulesTable>,
): Promise<AlertRuleRow> {
  return db
    .updateTable('alert_rules')
    .set(changes)
    .where('account_id', '=', accountId)
    .where('id', '=', ruleId)
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function deleteAlertRule(
  db: Handle,
  accountId: string,
  ruleId: string,
): Promise<void> {
  await db
    .deleteFrom('alert_rules')
    .where('account_id', '=', accountId)
    .where('id', '=', ruleId)
    .execute();
}

/** Every rule that is in force, of all accounts. */
export async function enabledAlertRules(db: Handle): Promise<AlertRuleRow[]> {
  return db
    .selectFrom('alert_rules')
    .selectAll()
    .where('enabled', '=', 1)
    .orderBy('account_id')
    .orderBy('id')
    .execute();
}
