import { randomUUID } from 'node:crypto';
import type { Principal } from '../contract/access.js';
import type { CreateAlertRuleInput, UpdateAlertRuleInput } from '../contract/alert-rules.js';
import type { Db, Handle } from '../db/client.js';
import { lockAccount } from '../db/repositories/accounts.js';
import {
  type AlertRuleRow,
  countAlertRules,
  deleteAlertRule,
  findAlertRule,
  insertAlertRule,
  listAlertRules,
  updateAlertRule,
} from '../db/repositories/alert-rules.js';
import { type OpenAlerts, resolveAlerts } from '../db/repositories/alerts.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { AlertLedger, ReportChange } from './alert-ledger.js';
import type { Fleet } from './fleet.js';
import type { RuleEngine } from './rule-engine.js';

const RULES_PER_ACCOUNT = 200;

/** The rules that raise alerts by themselves. Another account's are `not_found`. */
export interface AlertRules {
  /** @throws DomainError `forbidden` for one too many; as `fleet.owned` for its robot. */
  create(principal: Principal, input: CreateAlertRuleInput): Promise<AlertRuleRow>;
  /** By name. */
  list(principal: Principal): Promise<AlertRuleRow[]>;
  get(principal: Principal, ruleId: string): Promise<AlertRuleRow>;
  /**
   * What is left out stays as it is. An alert that is open stays open until it is judged by the new condition; those
   * of robots that the rule is no longer about are resolved, and all of them when it is switched off.
   */
  update(principal: Principal, input: UpdateAlertRuleInput): Promise<AlertRuleRow>;
  /** Its open alerts are resolved; what it raised stays in the list. */
  delete(principal: Principal, ruleId: string): Promise<void>;
}

export interface AlertRulesDeps {
  db: Db;
  ledger: AlertLedger;
  fleet: Fleet;
  clock: Clock;
  engine: Pick<RuleEngine, 'put' | 'remove'>;
}

export function createAlertRules({ db, ledger, fleet, clock, engine }: AlertRulesDeps): AlertRules {
  async function resolveOpen(
    tx: Handle,
    changed: ReportChange,
    accountId: string,
    which: OpenAlerts,
  ): Promise<void> {
    const by = { resolved_at: clock.now(), resolved_by: accountId };
    for (const alert of await resolveAlerts(tx, accountId, which, by)) {
      await changed(alert, 'resolved');
    }
  }

  async function found(tx: Handle, principal: Principal, ruleId: string): Promise<AlertRuleRow> {
    const rule = await findAlertRule(tx, principal.account_id, ruleId);
    if (!rule) throw new DomainError('not_found', 'Alert rule not found');
    return rule;
  }

  return {
    async create(principal, { for_seconds, enabled, ...given }) {
      const { account_id } = principal;
      if (given.robot_id !== null) await fleet.owned(principal, given.robot_id);
      const now = clock.now();
      const rule: AlertRuleRow = {
        ...given,
        id: randomUUID(),
        account_id,
        for_ms: Math.round(for_seconds * 1_000),
        enabled: enabled ? 1 : 0,
        created_at: now,
        updated_at: now,
      };
      await db.transaction().execute(async (tx) => {
        await lockAccount(tx, account_id);
        if ((await countAlertRules(tx, account_id)) >= RULES_PER_ACCOUNT) throw tooMany();
        await insertAlertRule(tx, rule);
      });
      engine.put(rule);
      return rule;
    },

    list: (principal) => listAlertRules(db, principal.account_id, RULES_PER_ACCOUNT),
    get: (principal, ruleId) => found(db, principal, ruleId),

    async update(principal, { rule_id, for_seconds, enabled, ...given }) {
      const { account_id } = principal;
      if (given.robot_id) await fleet.owned(principal, given.robot_id);
      const kept = Object.entries(given).filter(([, value]) => value !== undefined);
      const rule = await ledger.write(async (tx, changed) => {
        const before = await found(tx, principal, rule_id);
        const rule = await updateAlertRule(tx, account_id, rule_id, {
          ...Object.fromEntries(kept),
          ...(for_seconds !== undefined && { for_ms: Math.round(for_seconds * 1_000) }),
          ...(enabled !== undefined && { enabled: enabled ? 1 : 0 }),
          // What was judged by the version before must not pass for this one, in the same millisecond either.
          updated_at: Math.max(clock.now(), before.updated_at + 1),
        });
        const { robot_id: except_robot_id } = rule;
        if (rule.enabled === 0) await resolveOpen(tx, changed, account_id, { rule_id });
        else if (except_robot_id !== null) {
          await resolveOpen(tx, changed, account_id, { rule_id, except_robot_id });
        }
        return rule;
      });
      engine.put(rule);
      return rule;
    },

    async delete(principal, rule_id) {
      const { account_id } = principal;
      await ledger.write(async (tx, changed) => {
        const isGone = await deleteAlertRule(tx, account_id, rule_id);
        if (!isGone) throw new DomainError('not_found', 'Alert rule not found');
        await resolveOpen(tx, changed, account_id, { rule_id });
      });
      engine.remove(account_id, rule_id);
    },
  };
}

function tooMany(): DomainError {
  const message = `An account has at most ${RULES_PER_ACCOUNT} alert rules; delete one first`;
  return new DomainError('forbidden', message, { limit: 'alert_rules_per_account' });
}
